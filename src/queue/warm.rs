//! Mail that was promised a moment ago and is about to leave, still in memory: its first attempt needs neither disk nor
//! lock. It is kept as any other; what is not here any more is read from there.
//!
//! # Security
//! Only what leaves as it stands is put here, never a message that was found to be confidential. All of it together is
//! bounded. What turns out not to leave is zeroized.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use zeroize::Zeroizing;

/// Octets of all messages together, those that are still coming included.
const ROOM: usize = 32 << 20;
/// Octets of one message.
const LONGEST: usize = 2 << 20;
/// Octets of a piece.
const PIECE: usize = 64 << 10;

/// What is in memory. Cheap to clone.
#[derive(Clone, Default)]
pub struct Warm(Arc<Shelf>);

#[derive(Default)]
struct Shelf {
    taken: AtomicUsize,
    /// The oldest first.
    messages: Mutex<VecDeque<Waiting>>,
}

/// A message that is to be asked for.
struct Waiting {
    /// The id of its body.
    body: u128,
    message: Arc<WarmMessage>,
    /// How often it still is.
    readings: usize,
}

/// One reading of a message in memory.
pub struct WarmReading {
    message: Arc<WarmMessage>,
    next: usize,
}

/// A piece on its way out; zeroized behind the last who reads it.
struct Piece(Arc<WarmMessage>, usize);

/// The octets of a message as they came. They do not print.
pub struct WarmMessage {
    shelf: Arc<Shelf>,
    pieces: Vec<Zeroizing<Vec<u8>>>,
    length: usize,
}

impl Warm {
    /// A message that is about to come.
    #[must_use]
    pub fn begin(&self) -> WarmMessage {
        WarmMessage { shelf: Arc::clone(&self.0), pieces: Vec::new(), length: 0 }
    }

    /// Keeps a message for the first who ask for it, so many: one for each way it goes out.
    pub fn put(&self, body: u128, message: WarmMessage, readings: usize) {
        if readings > 0 {
            self.0.lock().push_back(Waiting { body, message: Arc::new(message), readings });
        }
    }

    /// Gives one reading of the message away, if it is still here.
    #[must_use]
    pub fn take(&self, body: u128) -> Option<WarmReading> {
        let mut messages = self.0.lock();
        let place = messages.iter().position(|waiting| waiting.body == body)?;
        let waiting = messages.get_mut(place)?;
        waiting.readings -= 1;
        let message = Arc::clone(&waiting.message);
        if waiting.readings == 0 {
            messages.remove(place);
        }
        Some(WarmReading { message, next: 0 })
    }
}

impl Shelf {
    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Waiting>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes room for this much more: what waits longest goes. `false` if all room is taken by what is still coming.
    fn make_room(&self, octets: usize) -> bool {
        loop {
            let before = self.taken.fetch_add(octets, Ordering::SeqCst);
            if before + octets <= ROOM {
                return true;
            }
            self.taken.fetch_sub(octets, Ordering::SeqCst);
            // Dropped when the lock is open again: its room is given back then.
            let oldest = self.lock().pop_front();
            if oldest.is_none() {
                return false;
            }
        }
    }
}

impl WarmMessage {
    /// Takes the next octets. `false` if there is no room for them: the message is of no use then.
    #[must_use]
    pub fn push(&mut self, mut octets: &[u8]) -> bool {
        if self.length + octets.len() > LONGEST {
            return false;
        }
        while !octets.is_empty() {
            let room = self.pieces.last().map_or(0, |piece| piece.capacity() - piece.len());
            if room == 0 {
                // A first piece of what is short is no longer than that; a piece never grows, which would leave copies.
                let capacity = if self.pieces.is_empty() { octets.len().min(PIECE) } else { PIECE };
                if !self.shelf.make_room(capacity) {
                    return false;
                }
                self.length += capacity;
                self.pieces.push(Zeroizing::new(Vec::with_capacity(capacity)));
                continue;
            }
            let (now, later) = octets.split_at(room.min(octets.len()));
            if let Some(piece) = self.pieces.last_mut() {
                piece.extend_from_slice(now);
            }
            octets = later;
        }
        true
    }
}

impl WarmReading {
    /// The next of its octets, from the front: on their way out as they stand.
    pub fn next_piece(&mut self) -> Option<Bytes> {
        let piece = Piece(Arc::clone(&self.message), self.next);
        self.next += 1;
        (self.next <= self.message.pieces.len()).then(|| Bytes::from_owner(piece))
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        self.0.pieces.get(self.1).map_or(&[], |piece| piece.as_slice())
    }
}

impl Drop for WarmMessage {
    fn drop(&mut self) {
        self.shelf.taken.fetch_sub(self.length, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn message(warm: &Warm, octets: &[u8], step: usize) -> Option<WarmMessage> {
        let mut message = warm.begin();
        octets.chunks(step).all(|chunk| message.push(chunk)).then_some(message)
    }

    fn all(mut reading: WarmReading) -> Vec<u8> {
        std::iter::from_fn(|| reading.next_piece()).flatten().collect()
    }

    #[test]
    fn what_is_put_is_read_as_often_as_it_leaves_octet_by_octet() {
        let warm = Warm::default();
        let octets: Vec<u8> = (0..200_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
        for (body, step) in [(1, 1), (2, 700), (3, 65_536), (4, 200_000)] {
            warm.put(body, message(&warm, &octets, step).unwrap(), 2);
        }
        for body in [3, 1, 4, 2] {
            let reading = warm.take(body).unwrap();
            assert_eq!(all(warm.take(body).unwrap()), octets);
            assert_eq!(all(reading), octets);
            assert!(warm.take(body).is_none());
        }
        assert_eq!(warm.0.taken.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn all_together_is_bounded_and_the_oldest_goes() {
        let warm = Warm::default();
        let octets = vec![7; LONGEST];
        for body in 0..40 {
            warm.put(body, message(&warm, &octets, PIECE).unwrap(), 1);
            assert!(warm.0.taken.load(Ordering::SeqCst) <= ROOM);
        }
        assert!(warm.take(0).is_none() && warm.take(23).is_none());
        assert_eq!(all(warm.take(39).unwrap()), octets);
    }

    #[test]
    fn what_is_too_long_or_finds_no_room_is_not_kept() {
        let warm = Warm::default();
        assert!(message(&warm, &vec![7; LONGEST + 1], PIECE).is_none());
        let coming: Vec<_> =
            std::iter::from_fn(|| message(&warm, &vec![7; LONGEST], PIECE)).take(ROOM / LONGEST + 1).collect();
        assert_eq!(coming.len(), ROOM / LONGEST);
        assert!(message(&warm, b"one more", 8).is_none());
        drop(coming);
        assert_eq!(warm.0.taken.load(Ordering::SeqCst), 0);
    }
}
