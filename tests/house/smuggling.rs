//! SMTP smuggling from end to end, between real mail servers: the ends of data of the public test tools (smtpsmug,
//! SMTP-Smuggling-Tools; CVE-2023-51764, -51765, -51766) at both doors, through us to mail servers that believe such ends, and
//! from mail servers in front of us that pass them on.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::exim::Exim;
use crate::mail_sink::Sink;
use crate::operator::send;
use crate::postfix::Postfix;
use crate::running::{Gateway, figures, free, stands_in_threats, wait_until};

/// Name and octets, as the tools have them: the first ten are smtpsmug's, of which six are the other tool's too.
pub const ENDS: [(&str, &str); 12] = [
    ("lflf", "\n.\n"),
    ("crcr", "\r.\r"),
    ("crlf", "\r.\n"),
    ("lfcr", "\n.\r"),
    ("lfcrlf", "\n.\r\n"),
    ("crlflf", "\r\n.\n"),
    ("crcrlf", "\r.\r\n"),
    ("crlfcr", "\r\n.\r"),
    ("nullbefore", "\r\n\0.\r\n"),
    ("nullafter", "\r\n.\0\r\n"),
    ("crlfcrcrlf", "\r\n.\r\r\n"),
    ("crcrlfcrcrlf", "\r\r\n.\r\r\n"),
];

/// How a message is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Data,
    Chunk,
}

/// Hands over a message that may be read as two; every reply behind the envelope.
fn attack(door: SocketAddr, by: By, end: &str, to: &str, mark: &str) -> Vec<String> {
    let mut reader = BufReader::new(TcpStream::connect(door).unwrap());
    let patience = Some(std::time::Duration::from_secs(20));
    reader.get_ref().set_read_timeout(patience).unwrap();
    let reply = |reader: &mut BufReader<TcpStream>| {
        let mut line = String::new();
        while line.as_bytes().get(3) != Some(&b' ') {
            line.clear();
            assert!(reader.read_line(&mut line).unwrap() > 0, "{mark}: the door closed");
        }
        line.trim_end().to_owned()
    };
    reply(&mut reader);
    for line in ["EHLO client.example", "MAIL FROM:<anna@sundby.example>", &format!("RCPT TO:<{to}>")] {
        reader.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
        let reply = reply(&mut reader);
        assert!(reply.starts_with("250"), "{mark}: {line}: {reply}");
    }
    let envelope = format!("MAIL FROM:<mallory@sundby.example>\r\nRCPT TO:<{to}>\r\nDATA\r\n");
    let smuggled = format!("{envelope}Subject: {mark}.\r\n\r\nsmuggled\r\n");
    let text = format!("From: anna@sundby.example\r\nSubject: {mark}.\r\n\r\ntext{end}{smuggled}");
    let octets = match by {
        By::Data => {
            reader.get_mut().write_all(b"DATA\r\n").unwrap();
            assert!(reply(&mut reader).starts_with("354"), "{mark}");
            format!("{text}.\r\nQUIT\r\n")
        }
        By::Chunk => format!("BDAT {} LAST\r\n{text}QUIT\r\n", text.len()),
    };
    // A door that believed the false end may have closed before all is written.
    _ = reader.get_mut().write_all(octets.as_bytes());
    let mut rest = Vec::new();
    _ = reader.read_to_end(&mut rest);
    String::from_utf8_lossy(&rest).lines().map(str::to_owned).collect()
}

/// How many messages these replies promise, whoever gave them.
fn promised(replies: &[String]) -> usize {
    replies.iter().filter(|reply| reply.contains("queued as") || reply.contains("OK id=")).count()
}

/// How many messages with this mark a sink took, and how many of them from the smuggled sender.
fn taken(sink: &Sink, mark: &str) -> (usize, usize) {
    let messages = sink.messages();
    let with_mark = messages.iter().map(|message| String::from_utf8_lossy(message).into_owned());
    let with_mark: Vec<String> = with_mark.filter(|text| text.contains(&format!("Subject: {mark}.\n"))).collect();
    let forged = with_mark.iter().filter(|text| text.contains("X-Mail-Args: <mallory@")).count();
    (with_mark.len(), forged)
}

fn holds(sink: &Sink, words: &str) -> bool {
    sink.messages().iter().any(|message| String::from_utf8_lossy(message).contains(words))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_smuggled_through_us_into_mail_servers_that_believe_false_ends() {
    let mut faults = Vec::new();
    for name in ["a lax Postfix", "Exim"] {
        let sink = Sink::start(true, &[]).await;
        let (postfix, exim) = match name {
            "Exim" => (None, Some(Exim::start(sink.address, sink.address))),
            _ => (Some(Postfix::lax(sink.address)), None),
        };
        let hop = postfix.as_ref().map(|it| it.address).or(exim.as_ref().map(|it| it.address)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut gateway = Gateway::found(folder.path(), hop, hop, "http://127.0.0.1:9");
        gateway.start();

        // The same at the next hop alone: what it believes is what we have to keep from it.
        let alone: Vec<&str> = ENDS
            .iter()
            .filter(|(end, octets)| {
                promised(&attack(hop, By::Data, octets, "eva@live.example", &format!("alone-{end}"))) > 1
            })
            .map(|(end, _)| *end)
            .collect();
        if postfix.is_some() {
            assert!(alone.contains(&"lflf"), "a lax hop believes something, or this shows nothing");
        }

        let (mut tried, mut refused, before) = (0, 0, faults.len());
        let mut through = Vec::new();
        for (end, octets) in ENDS {
            for by in [By::Data, By::Chunk] {
                for to in ["eva@live.example", "ove@sundby.example"] {
                    let mark = format!("{end}-{by:?}-{}", to.split('@').next().unwrap());
                    let replies = attack(gateway.outbound, by, octets, to, &mark);
                    // One answer for the message, one for QUIT: nothing in it was read as a command.
                    if replies.len() != 2 || !replies[1].starts_with("221") {
                        faults.push(format!("{name}, {mark}: {replies:?}"));
                    }
                    tried += 1;
                    refused += usize::from(replies[0].starts_with("550 5.6.11"));
                    through.push((mark, promised(&replies)));
                }
                // The other door, for whom the mail server knows.
                let mark = format!("inbound-{end}-{by:?}");
                let replies = attack(gateway.inbound, by, octets, "anna.berg@sundby.example", &mark);
                if replies.len() != 2 || promised(&replies) > 1 || !replies[1].starts_with("221") {
                    faults.push(format!("{name}, {mark}: {replies:?}"));
                }
                tried += 1;
                refused += usize::from(replies[0].starts_with("550 5.6.11"));
                through.push((mark, promised(&replies)));
            }
        }
        assert!(send(gateway.outbound, &["eva@live.example"], "the last one").starts_with("250"));
        wait_until("the last one", || holds(&sink, "Subject: the last one"));
        for (mark, wanted) in &through {
            wait_until(mark, || taken(&sink, mark).0 >= *wanted);
        }
        for (mark, wanted) in through {
            let (came, forged) = taken(&sink, &mark);
            if (came, forged) != (wanted, 0) {
                faults.push(format!("{name}, {mark}: {came} came for {wanted} promised, {forged} forged"));
            }
        }
        println!("{name}: {refused} of {tried} refused; alone it believes {}", alone.join(", "));
        stands_in_threats(&figures(&format!("false ends at both doors, {name} behind us"), tried, before, &faults));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_mail_server_in_front_of_us_takes_for_one_message_stays_one() {
    let mut faults = Vec::new();
    for name in ["a lax Postfix", "Exim"] {
        let (outside, inside) = (Sink::start(true, &[]).await, free());
        let folder = tempfile::tempdir().unwrap();
        let mut gateway = Gateway::found(folder.path(), outside.address, inside, "http://127.0.0.1:9");
        gateway.start();
        let (postfix, exim) = match name {
            "Exim" => (None, Some(Exim::start(gateway.outbound, gateway.outbound))),
            _ => (Some(Postfix::lax(gateway.outbound)), None),
        };
        let front = postfix.as_ref().map(|it| it.address).or(exim.as_ref().map(|it| it.address)).unwrap();
        let (mut tried, before) = (0, faults.len());
        let mut through = Vec::new();
        for (end, octets) in ENDS {
            let mark = format!("front-{end}");
            let replies = attack(front, By::Data, octets, "eva@live.example", &mark);
            through.push((mark, promised(&replies)));
        }
        send(front, &["eva@live.example"], "the last one");
        wait_until("the last one", || holds(&outside, "Subject: the last one"));
        for (mark, promised) in through {
            let (came, _) = taken(&outside, &mark);
            tried += 1;
            if came > promised {
                faults.push(format!("{name}, {mark}: {came} came where it took {promised}"));
            }
        }
        stands_in_threats(&figures(&format!("false ends, {name} in front of us"), tried, before, &faults));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// smtpsmug's `pipelining`: a second message right behind a true end is a message of its own, judged by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_pipelined_behind_another_is_judged_by_itself() {
    let (sink, folder) = (Sink::start(true, &[]).await, tempfile::tempdir().unwrap());
    let mut gateway = Gateway::found(folder.path(), sink.address, free(), "http://127.0.0.1:9");
    gateway.start();
    let forged = "\r\n.\r\nMAIL FROM:<mallory@evil.example>\r\nRCPT TO:<eva@live.example>\r\nDATA\r\nSubject: forged";
    let replies =
        attack(gateway.outbound, By::Data, &format!("{forged}.\r\n\r\nforged\r\n.\r\n"), "eva@live.example", "piped");
    assert_eq!(promised(&replies), 2, "{replies:?}");
    wait_until("both that are ours", || taken(&sink, "piped").0 == 2);
    assert!(!holds(&sink, "forged") && !holds(&sink, "evil.example"), "{replies:?}");
}
