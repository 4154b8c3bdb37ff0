//! Alphabets, segmentation, reassembly, receipt dialects, transliteration.
