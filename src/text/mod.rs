//! Alphabets, segmentation, reassembly, receipt dialects and transliteration. Pure functions over octets and
//! `model` types; what stands on the wire around them (esm_class, TLVs, PDUs) is left to `link/translate`.

pub mod choose;
pub mod cluster;
pub mod data_coding;
pub mod date;
pub mod fold;
pub mod gsm7;
pub mod id_form;
pub mod national;
pub mod reassembly;
pub mod receipt;
pub mod segment;
pub mod shift;
pub mod tables;
pub mod template;
pub mod transcode;
pub mod transliterate;
pub mod udh;
pub mod utf16;
