//! The `sealgate` program: parse, dispatch, exit code.

fn main() {}
