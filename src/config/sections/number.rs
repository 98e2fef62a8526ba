//! The kinds of national numbers.

use crate::fault::{TextSetting, UnknownWord, words};

words! {
    /// A kind of number that names a person or an organisation.
    pub enum NumberType {
        /// Swedish personal number.
        SePersonnummer = "se-personnummer",
        /// Swedish co-ordination number.
        SeSamordningsnummer = "se-samordningsnummer",
        /// Swedish organisation number.
        SeOrganisationsnummer = "se-organisationsnummer",
        /// Danish personal number.
        DkCpr = "dk-cpr",
        /// Danish company number.
        DkCvr = "dk-cvr",
        /// Norwegian birth number.
        NoFodselsnummer = "no-fodselsnummer",
        /// Finnish personal identity code.
        FiHetu = "fi-hetu",
    }
}
