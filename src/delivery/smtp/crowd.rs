//! Attempts under way to each domain: one that is slow must not keep mail for the others from leaving.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::mail::Domain;

/// Counts attempts by domain, those that wait for a connection included.
pub struct Crowd {
    most: usize,
    counts: Arc<Mutex<HashMap<Domain, usize>>>,
}

/// A place among the attempts for a domain, until dropped.
pub struct Place {
    domain: Domain,
    crowd: Arc<Mutex<HashMap<Domain, usize>>>,
}

impl Crowd {
    /// So many at the same time for each domain at most.
    pub fn new(most: usize) -> Self {
        Self { most, counts: Arc::default() }
    }

    /// A place for one more attempt; `None` if the domain has as many as it may.
    pub fn place(&self, domain: &Domain) -> Option<Place> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(domain.clone()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Place { domain: domain.clone(), crowd: Arc::clone(&self.counts) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.crowd.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.domain) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.domain);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::delivery::smtp::crowd::*;

    #[test]
    fn a_domain_has_its_share_and_no_more() {
        let crowd = Crowd::new(3);
        let (slow, quick): (Domain, Domain) = ("slow.example".parse().unwrap(), "quick.example".parse().unwrap());
        let mut places: Vec<Place> = (0..3).map(|_| crowd.place(&slow).unwrap()).collect();
        assert!(crowd.place(&slow).is_none() && crowd.place(&quick).is_some());
        places.pop();
        assert!(crowd.place(&slow).is_some());
        drop(places);
        assert!(crowd.counts.lock().unwrap().is_empty());
    }
}
