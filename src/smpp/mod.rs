//! SMPP v3.4 and v5.0, sans-io: bytes to PDUs to session events.
