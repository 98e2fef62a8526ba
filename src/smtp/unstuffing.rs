//! A message on its way in: dots unstuffed behind DATA, line ends checked behind DATA and BDAT (RFC 5321 §4.5.2, RFC 3030).

/// Why a message's text cannot be taken. It is swallowed to its end all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextFault {
    /// A CR without LF or a LF without CR: another server could see an end of the message there (CVE-2023-51764 and
    /// its kin).
    #[error("the message has a CR or LF that stands alone")]
    BareLineEnd,
    /// A line over the limit.
    #[error("the message has a line that is too long")]
    LineTooLong,
}

/// What became of one block behind DATA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unstuffed {
    /// So many octets at the front of the block are now the message's next octets.
    pub kept: usize,
    /// So many octets of the block as it came belonged to the message or ended it; what is behind them is commands.
    pub used: usize,
    /// The end has come: CRLF, dot, CRLF.
    pub ended: bool,
}

/// Where in its line the next octet stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    LineStart,
    /// Behind a dot that began the line.
    Dot,
    /// Behind a dot that began the line and a CR.
    DotCr,
    Inside,
    Cr,
}

/// Takes the dots off a message that comes in blocks, and finds its end. Only CRLF, dot, CRLF ends a message,
/// whatever other line ends it holds.
#[derive(Debug)]
pub struct Unstuffer {
    place: Place,
    check: TextCheck,
}

/// Checks the lines of a message that comes in blocks.
#[derive(Debug)]
pub struct TextCheck {
    /// The last octet was a CR.
    behind_cr: bool,
    /// Octets of the present line so far.
    line: usize,
    limit: usize,
    fault: Option<TextFault>,
}

impl TextCheck {
    /// A check that allows `limit` octets in a line, CRLF included.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { behind_cr: false, line: 0, limit, fault: None }
    }

    /// The first fault found so far.
    #[must_use]
    pub fn fault(&self) -> Option<TextFault> {
        self.fault
    }

    /// Looks at the next octets.
    pub fn look(&mut self, octets: &[u8]) {
        let mut rest = octets;
        while !rest.is_empty() {
            if self.behind_cr {
                self.behind_cr = false;
                if let Some(behind) = rest.strip_prefix(b"\n") {
                    self.end_line(1);
                    rest = behind;
                    continue;
                }
                self.note(TextFault::BareLineEnd);
            }
            rest = self.look_at_line(rest);
        }
    }

    /// Called when all has come: whether a CRLF must be added for the last line to be one.
    pub fn finish(&mut self) -> bool {
        if self.behind_cr {
            self.note(TextFault::BareLineEnd);
        }
        self.line > 0
    }

    /// Goes to the end of the line, or as far as there is something; gives back what is behind.
    fn look_at_line<'a>(&mut self, octets: &'a [u8]) -> &'a [u8] {
        let Some(at) = memchr::memchr2(b'\r', b'\n', octets) else {
            self.lengthen(octets.len());
            return &[];
        };
        let behind = octets.get(at + 1..).unwrap_or_default();
        if octets.get(at) == Some(&b'\n') {
            self.note(TextFault::BareLineEnd);
            self.lengthen(at + 1);
            return behind;
        }
        // A CR takes the LF behind it along, so that most lines are one step.
        if let Some(behind) = behind.strip_prefix(b"\n") {
            self.end_line(at + 2);
            return behind;
        }
        self.lengthen(at + 1);
        self.behind_cr = true;
        behind
    }

    fn lengthen(&mut self, by: usize) {
        self.line = self.line.saturating_add(by);
        if self.line > self.limit {
            self.note(TextFault::LineTooLong);
        }
    }

    fn end_line(&mut self, by: usize) {
        self.lengthen(by);
        self.line = 0;
    }

    fn note(&mut self, fault: TextFault) {
        self.fault.get_or_insert(fault);
    }
}

impl Unstuffer {
    /// Stands before the first octet; allows `limit` octets in a line, CRLF included.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { place: Place::LineStart, check: TextCheck::new(limit) }
    }

    /// The first fault found so far. The message is to be refused, but only when its end has come.
    #[must_use]
    pub fn fault(&self) -> Option<TextFault> {
        self.check.fault()
    }

    /// Unstuffs the next octets where they stand.
    pub fn unstuff(&mut self, block: &mut [u8]) -> Unstuffed {
        let (mut used, mut kept) = (0, 0);
        while let Some(octet) = block.get(used).copied() {
            let run = match (self.place, octet) {
                (Place::LineStart, b'.') => {
                    self.place = Place::Dot;
                    used += 1;
                    continue;
                }
                (Place::Dot, b'\r') => {
                    self.place = Place::DotCr;
                    used += 1;
                    continue;
                }
                (Place::DotCr, b'\n') => return Unstuffed { kept, used: used + 1, ended: true },
                (Place::DotCr, _) => {
                    // The CR behind the dot stood alone: the line goes on, and the message is spoilt.
                    self.check.note(TextFault::BareLineEnd);
                    self.place = Place::Inside;
                    continue;
                }
                (Place::Cr, b'\n') => {
                    self.place = Place::LineStart;
                    1
                }
                (Place::LineStart | Place::Dot | Place::Inside | Place::Cr, _) => {
                    let (run, place) = run_from(block.get(used..).unwrap_or_default());
                    self.place = place;
                    run
                }
            };
            self.check.look(block.get(used..used + run).unwrap_or_default());
            if kept != used {
                block.copy_within(used..used + run, kept);
            }
            kept += run;
            used += run;
        }
        Unstuffed { kept, used, ended: false }
    }
}

/// How many octets go through unchanged, and where that leads: through the next CRLF, a CR that ends the block, a
/// bare line end (which begins no line), or all there is.
fn run_from(octets: &[u8]) -> (usize, Place) {
    match memchr::memchr2(b'\r', b'\n', octets) {
        None => (octets.len(), Place::Inside),
        Some(at) if octets.get(at) == Some(&b'\n') => (at + 1, Place::Inside),
        Some(at) if octets.get(at + 1) == Some(&b'\n') => (at + 2, Place::LineStart),
        Some(at) if at + 1 == octets.len() => (at + 1, Place::Cr),
        Some(at) => (at + 1, Place::Inside),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::smtp::unstuffing::*;

    const LIMIT: usize = 1_000;

    /// The message, the fault, and what is left behind the end, if it came.
    fn unstuffed(blocks: &[&[u8]]) -> (Vec<u8>, Option<TextFault>, Option<Vec<u8>>) {
        let mut unstuffer = Unstuffer::new(LIMIT);
        let mut message = Vec::new();
        for (index, block) in blocks.iter().enumerate() {
            let mut block = block.to_vec();
            let step = unstuffer.unstuff(&mut block);
            if step.ended {
                let mut rest: Vec<u8> = blocks[index][step.used..].to_vec();
                blocks[index + 1..].iter().for_each(|block| rest.extend_from_slice(block));
                message.extend_from_slice(&block[..step.kept]);
                return (message, unstuffer.fault(), Some(rest));
            }
            assert_eq!(step.used, block.len());
            message.extend_from_slice(&block[..step.kept]);
        }
        (message, unstuffer.fault(), None)
    }

    #[test]
    fn the_message_ends_at_its_dot_wherever_the_blocks_part() {
        let wire = b"a: b\r\n\r\n..dot\r\n...\r\nx.\r\n.\r\nQUIT\r\n";
        for at in 0..=wire.len() {
            for to in at..=wire.len() {
                let blocks = [&wire[..at], &wire[at..to], &wire[to..]];
                let (message, fault, rest) = unstuffed(&blocks);
                assert_eq!(message, b"a: b\r\n\r\n.dot\r\n..\r\nx.\r\n", "{at} {to}");
                assert_eq!((fault, rest), (None, Some(b"QUIT\r\n".to_vec())));
            }
        }
        assert_eq!(unstuffed(&[b".\r\n"]), (Vec::new(), None, Some(Vec::new())));
    }

    #[test]
    fn nothing_but_crlf_dot_crlf_ends_a_message() {
        for end in ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\n\n.\r\r\n", "\r\r.\r\n", "\0.\r\n"]
        {
            let wire = format!("text{end}MAIL FROM:<a@b>\r\n");
            for at in 0..=wire.len() {
                let (front, back) = wire.as_bytes().split_at(at);
                let (_, fault, rest) = unstuffed(&[front, back]);
                assert_eq!(rest, None, "{end:?} parted at {at}");
                let wanted = (!end.starts_with('\0')).then_some(TextFault::BareLineEnd);
                assert_eq!(fault, wanted, "{end:?} parted at {at}");
            }
        }
    }

    #[test]
    fn a_spoilt_message_is_followed_to_its_true_end() {
        let (_, fault, rest) = unstuffed(&[b"a\n.\r\nb\r", b"\n.\r\nRSET\r\n"]);
        assert_eq!((fault, rest), (Some(TextFault::BareLineEnd), Some(b"RSET\r\n".to_vec())));
    }

    #[test]
    fn a_line_may_not_be_endless() {
        let line = vec![b'x'; LIMIT];
        assert_eq!(unstuffed(&[&line[2..], b"\r\n"]).1, None);
        assert_eq!(unstuffed(&[&line[1..], b"\r\n"]).1, Some(TextFault::LineTooLong));
        assert_eq!(unstuffed(&[&line, &line]).1, Some(TextFault::LineTooLong));
    }

    #[test]
    fn a_chunk_is_checked_like_a_line_and_closed_like_one() {
        for (chunks, fault, wants_end) in [
            (vec!["a\r", "\nb\r\n"], None, false),
            (vec!["a"], None, true),
            (vec![""], None, false),
            (vec!["a\r\n", "\n"], Some(TextFault::BareLineEnd), true),
            (vec!["a\r", "b\r\n"], Some(TextFault::BareLineEnd), false),
            (vec!["a\r"], Some(TextFault::BareLineEnd), true),
        ] {
            let mut check = TextCheck::new(LIMIT);
            chunks.iter().for_each(|chunk| check.look(chunk.as_bytes()));
            assert_eq!((check.finish(), check.fault()), (wants_end, fault), "{chunks:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_stuffed_comes_back(lines in prop::collection::vec("[a.]{0,4}", 0..8), at in 0usize..40) {
            let message: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let mut wire = bytes::BytesMut::new();
            let mut stuffer = crate::smtp::stuffing::Stuffer::default();
            stuffer.push(message.as_bytes(), &mut wire).unwrap();
            stuffer.finish(&mut wire).unwrap();
            let (front, back) = wire.split_at(at.min(wire.len()));
            prop_assert_eq!(unstuffed(&[front, back]), (message.into_bytes(), None, Some(Vec::new())));
        }
    }
}
