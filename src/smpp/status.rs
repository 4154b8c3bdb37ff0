//! Values of `command_status` (SMPP v3.4 §5.1.3, v5.0 §4.7.6), named as in the specification. What to do about each is for `link` to decide.

/// Accepted.
pub const ESME_ROK: u32 = 0x0000;
/// Message length is not acceptable.
pub const ESME_RINVMSGLEN: u32 = 0x0001;
/// Command_length is not acceptable.
pub const ESME_RINVCMDLEN: u32 = 0x0002;
/// Command is unknown or unsupported.
pub const ESME_RINVCMDID: u32 = 0x0003;
/// Command is not allowed in this bind state.
pub const ESME_RINVBNDSTS: u32 = 0x0004;
/// Already bound.
pub const ESME_RALYBND: u32 = 0x0005;
/// Priority_flag is invalid.
pub const ESME_RINVPRTFLG: u32 = 0x0006;
/// Registered_delivery is invalid.
pub const ESME_RINVREGDLVFLG: u32 = 0x0007;
/// System error at the peer.
pub const ESME_RSYSERR: u32 = 0x0008;
/// Source address is invalid.
pub const ESME_RINVSRCADR: u32 = 0x000A;
/// Destination address is invalid.
pub const ESME_RINVDSTADR: u32 = 0x000B;
/// Message id is invalid or unknown.
pub const ESME_RINVMSGID: u32 = 0x000C;
/// Bind failed.
pub const ESME_RBINDFAIL: u32 = 0x000D;
/// Password is wrong.
pub const ESME_RINVPASWD: u32 = 0x000E;
/// System_id is unknown.
pub const ESME_RINVSYSID: u32 = 0x000F;
/// Cancel failed.
pub const ESME_RCANCELFAIL: u32 = 0x0011;
/// Replace failed.
pub const ESME_RREPLACEFAIL: u32 = 0x0013;
/// Message queue is full.
pub const ESME_RMSGQFUL: u32 = 0x0014;
/// Service_type is invalid.
pub const ESME_RINVSERTYP: u32 = 0x0015;
/// Number of destinations is invalid.
pub const ESME_RINVNUMDESTS: u32 = 0x0033;
/// Distribution list name is invalid.
pub const ESME_RINVDLNAME: u32 = 0x0034;
/// Dest_flag of submit_multi is invalid.
pub const ESME_RINVDESTFLAG: u32 = 0x0040;
/// Submit with replace is invalid.
pub const ESME_RINVSUBREP: u32 = 0x0042;
/// Esm_class is invalid.
pub const ESME_RINVESMCLASS: u32 = 0x0043;
/// Cannot submit to the distribution list.
pub const ESME_RCNTSUBDL: u32 = 0x0044;
/// Submit failed, no further reason.
pub const ESME_RSUBMITFAIL: u32 = 0x0045;
/// Source TON is invalid.
pub const ESME_RINVSRCTON: u32 = 0x0048;
/// Source NPI is invalid.
pub const ESME_RINVSRCNPI: u32 = 0x0049;
/// Destination TON is invalid.
pub const ESME_RINVDSTTON: u32 = 0x0050;
/// Destination NPI is invalid.
pub const ESME_RINVDSTNPI: u32 = 0x0051;
/// System_type is invalid.
pub const ESME_RINVSYSTYP: u32 = 0x0053;
/// Replace_if_present_flag is invalid.
pub const ESME_RINVREPFLAG: u32 = 0x0054;
/// Number_of_messages is invalid.
pub const ESME_RINVNUMMSGS: u32 = 0x0055;
/// Rate limit exceeded.
pub const ESME_RTHROTTLED: u32 = 0x0058;
/// Schedule_delivery_time is invalid.
pub const ESME_RINVSCHED: u32 = 0x0061;
/// Validity_period is invalid.
pub const ESME_RINVEXPIRY: u32 = 0x0062;
/// Predefined message id is unknown.
pub const ESME_RINVDFTMSGID: u32 = 0x0063;
/// Receiver: temporary application error.
pub const ESME_RX_T_APPN: u32 = 0x0064;
/// Receiver: permanent application error.
pub const ESME_RX_P_APPN: u32 = 0x0065;
/// Receiver: message rejected.
pub const ESME_RX_R_APPN: u32 = 0x0066;
/// Query failed.
pub const ESME_RQUERYFAIL: u32 = 0x0067;
/// Optional parameter section is malformed (v5.0 name ESME_RINVTLVSTREAM).
pub const ESME_RINVOPTPARSTREAM: u32 = 0x00C0;
/// Optional parameter not allowed (v5.0 ESME_RTLVNOTALLWD).
pub const ESME_ROPTPARNOTALLWD: u32 = 0x00C1;
/// Parameter length invalid (v5.0 ESME_RINVTLVLEN).
pub const ESME_RINVPARLEN: u32 = 0x00C2;
/// An expected optional parameter is missing (v5.0 ESME_RMISSINGTLV).
pub const ESME_RMISSINGOPTPARAM: u32 = 0x00C3;
/// Optional parameter value invalid (v5.0 ESME_RINVTLVVAL).
pub const ESME_RINVOPTPARAMVAL: u32 = 0x00C4;
/// Delivery failed (data_sm_resp in transaction mode).
pub const ESME_RDELIVERYFAILURE: u32 = 0x00FE;
/// Unknown error.
pub const ESME_RUNKNOWNERR: u32 = 0x00FF;
/// Not authorised for this service_type (v5.0).
pub const ESME_RSERTYPUNAUTH: u32 = 0x0100;
/// Operation is prohibited for this ESME (v5.0).
pub const ESME_RPROHIBITED: u32 = 0x0101;
/// Service_type is unavailable (v5.0).
pub const ESME_RSERTYPUNAVAIL: u32 = 0x0102;
/// Service_type is denied (v5.0).
pub const ESME_RSERTYPDENIED: u32 = 0x0103;
/// Data_coding is invalid (v5.0).
pub const ESME_RINVDCS: u32 = 0x0104;
/// Source_addr_subunit is invalid (v5.0).
pub const ESME_RINVSRCADDRSUBUNIT: u32 = 0x0105;
/// Dest_addr_subunit is invalid (v5.0).
pub const ESME_RINVDSTADDRSUBUNIT: u32 = 0x0106;
/// Broadcast frequency interval is invalid (v5.0).
pub const ESME_RINVBCASTFREQINT: u32 = 0x0107;
/// Broadcast alias name is invalid (v5.0).
pub const ESME_RINVBCASTALIAS_NAME: u32 = 0x0108;
/// Broadcast area format is invalid (v5.0).
pub const ESME_RINVBCASTAREAFMT: u32 = 0x0109;
/// Number of broadcast areas is invalid (v5.0).
pub const ESME_RINVNUMBCAST_AREAS: u32 = 0x010A;
/// Broadcast content type is invalid (v5.0).
pub const ESME_RINVBCASTCNTTYPE: u32 = 0x010B;
/// Broadcast message class is invalid (v5.0).
pub const ESME_RINVBCASTMSGCLASS: u32 = 0x010C;
/// Broadcast_sm failed (v5.0).
pub const ESME_RBCASTFAIL: u32 = 0x010D;
/// Query_broadcast_sm failed (v5.0).
pub const ESME_RBCASTQUERYFAIL: u32 = 0x010E;
/// Cancel_broadcast_sm failed (v5.0).
pub const ESME_RBCASTCANCELFAIL: u32 = 0x010F;
/// Number of broadcast repetitions is invalid (v5.0).
pub const ESME_RINVBCAST_REP: u32 = 0x0110;
/// Broadcast service group is invalid (v5.0).
pub const ESME_RINVBCASTSRVGRP: u32 = 0x0111;
/// Broadcast channel indicator is invalid (v5.0).
pub const ESME_RINVBCASTCHANIND: u32 = 0x0112;

/// The symbol of the specification, `None` for reserved and vendor values.
pub const fn name(status: u32) -> Option<&'static str> {
    Some(match status {
        ESME_ROK => "ESME_ROK",
        ESME_RINVMSGLEN => "ESME_RINVMSGLEN",
        ESME_RINVCMDLEN => "ESME_RINVCMDLEN",
        ESME_RINVCMDID => "ESME_RINVCMDID",
        ESME_RINVBNDSTS => "ESME_RINVBNDSTS",
        ESME_RALYBND => "ESME_RALYBND",
        ESME_RINVPRTFLG => "ESME_RINVPRTFLG",
        ESME_RINVREGDLVFLG => "ESME_RINVREGDLVFLG",
        ESME_RSYSERR => "ESME_RSYSERR",
        ESME_RINVSRCADR => "ESME_RINVSRCADR",
        ESME_RINVDSTADR => "ESME_RINVDSTADR",
        ESME_RINVMSGID => "ESME_RINVMSGID",
        ESME_RBINDFAIL => "ESME_RBINDFAIL",
        ESME_RINVPASWD => "ESME_RINVPASWD",
        ESME_RINVSYSID => "ESME_RINVSYSID",
        ESME_RCANCELFAIL => "ESME_RCANCELFAIL",
        ESME_RREPLACEFAIL => "ESME_RREPLACEFAIL",
        ESME_RMSGQFUL => "ESME_RMSGQFUL",
        ESME_RINVSERTYP => "ESME_RINVSERTYP",
        ESME_RINVNUMDESTS => "ESME_RINVNUMDESTS",
        ESME_RINVDLNAME => "ESME_RINVDLNAME",
        ESME_RINVDESTFLAG => "ESME_RINVDESTFLAG",
        ESME_RINVSUBREP => "ESME_RINVSUBREP",
        ESME_RINVESMCLASS => "ESME_RINVESMCLASS",
        ESME_RCNTSUBDL => "ESME_RCNTSUBDL",
        ESME_RSUBMITFAIL => "ESME_RSUBMITFAIL",
        ESME_RINVSRCTON => "ESME_RINVSRCTON",
        ESME_RINVSRCNPI => "ESME_RINVSRCNPI",
        ESME_RINVDSTTON => "ESME_RINVDSTTON",
        ESME_RINVDSTNPI => "ESME_RINVDSTNPI",
        ESME_RINVSYSTYP => "ESME_RINVSYSTYP",
        ESME_RINVREPFLAG => "ESME_RINVREPFLAG",
        ESME_RINVNUMMSGS => "ESME_RINVNUMMSGS",
        ESME_RTHROTTLED => "ESME_RTHROTTLED",
        ESME_RINVSCHED => "ESME_RINVSCHED",
        ESME_RINVEXPIRY => "ESME_RINVEXPIRY",
        ESME_RINVDFTMSGID => "ESME_RINVDFTMSGID",
        ESME_RX_T_APPN => "ESME_RX_T_APPN",
        ESME_RX_P_APPN => "ESME_RX_P_APPN",
        ESME_RX_R_APPN => "ESME_RX_R_APPN",
        ESME_RQUERYFAIL => "ESME_RQUERYFAIL",
        ESME_RINVOPTPARSTREAM => "ESME_RINVOPTPARSTREAM",
        ESME_ROPTPARNOTALLWD => "ESME_ROPTPARNOTALLWD",
        ESME_RINVPARLEN => "ESME_RINVPARLEN",
        ESME_RMISSINGOPTPARAM => "ESME_RMISSINGOPTPARAM",
        ESME_RINVOPTPARAMVAL => "ESME_RINVOPTPARAMVAL",
        ESME_RDELIVERYFAILURE => "ESME_RDELIVERYFAILURE",
        ESME_RUNKNOWNERR => "ESME_RUNKNOWNERR",
        ESME_RSERTYPUNAUTH => "ESME_RSERTYPUNAUTH",
        ESME_RPROHIBITED => "ESME_RPROHIBITED",
        ESME_RSERTYPUNAVAIL => "ESME_RSERTYPUNAVAIL",
        ESME_RSERTYPDENIED => "ESME_RSERTYPDENIED",
        ESME_RINVDCS => "ESME_RINVDCS",
        ESME_RINVSRCADDRSUBUNIT => "ESME_RINVSRCADDRSUBUNIT",
        ESME_RINVDSTADDRSUBUNIT => "ESME_RINVDSTADDRSUBUNIT",
        ESME_RINVBCASTFREQINT => "ESME_RINVBCASTFREQINT",
        ESME_RINVBCASTALIAS_NAME => "ESME_RINVBCASTALIAS_NAME",
        ESME_RINVBCASTAREAFMT => "ESME_RINVBCASTAREAFMT",
        ESME_RINVNUMBCAST_AREAS => "ESME_RINVNUMBCAST_AREAS",
        ESME_RINVBCASTCNTTYPE => "ESME_RINVBCASTCNTTYPE",
        ESME_RINVBCASTMSGCLASS => "ESME_RINVBCASTMSGCLASS",
        ESME_RBCASTFAIL => "ESME_RBCASTFAIL",
        ESME_RBCASTQUERYFAIL => "ESME_RBCASTQUERYFAIL",
        ESME_RBCASTCANCELFAIL => "ESME_RBCASTCANCELFAIL",
        ESME_RINVBCAST_REP => "ESME_RINVBCAST_REP",
        ESME_RINVBCASTSRVGRP => "ESME_RINVBCASTSRVGRP",
        ESME_RINVBCASTCHANIND => "ESME_RINVBCASTCHANIND",
        _ => return None,
    })
}
