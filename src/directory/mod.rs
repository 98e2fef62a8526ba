//! Who is out there: national numbers now; tunnels, certificates and address book later.

mod national_id;

pub use national_id::{Certainty, NationalId, NationalIdFault, NumberType};
