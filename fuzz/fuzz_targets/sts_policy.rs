//! Whatever a policy host sends, it is a policy within its bounds or a fault.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sealgate::delivery::StsPolicy;

fuzz_target!(|text: &str| {
    if let Ok(policy) = text.parse::<StsPolicy>() {
        assert!(policy.max_age <= 31_557_600 && policy.hosts.len() <= 100);
        if let Ok(host) = "mx.sundby.example".parse() {
            let _ = policy.covers(&host);
        }
    }
});
