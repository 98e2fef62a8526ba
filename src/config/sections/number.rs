//! The kinds of national numbers, as settings.

use crate::directory::NumberType;
use crate::fault::TextSetting;

impl TextSetting for NumberType {
    const FORM: &'static str = "a type of number: \"se-personnummer\", \"se-samordningsnummer\", \"se-organisationsnummer\", \
                                \"dk-cpr\", \"dk-cvr\", \"no-fodselsnummer\" or \"fi-hetu\"";
}
