//! Ctrl-C: the first one asks the work in hand to finish, the second one ends the process.
//!
//! Outside of a [`Guard`] there is no work worth finishing, and the first one ends the process. Outputs are written
//! aside and renamed, so that no half file is left either way.

use std::sync::atomic::{AtomicBool, Ordering};

use super::exit::Exit;

static GUARDED: AtomicBool = AtomicBool::new(false);
static ASKED: AtomicBool = AtomicBool::new(false);

/// While it lives, Ctrl-C only sets [`asked`].
#[derive(Debug)]
pub struct Guard(());

/// Takes over Ctrl-C, SIGTERM and SIGHUP until the guard is dropped.
pub fn guard() -> Guard {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // Without a handler Ctrl-C simply ends the process, which leaves no half file either.
        let _ = ctrlc::set_handler(|| {
            let second = ASKED.swap(true, Ordering::SeqCst);
            if second || !GUARDED.load(Ordering::SeqCst) {
                std::process::exit(Exit::Interrupted as i32);
            }
        });
    });
    GUARDED.store(true, Ordering::SeqCst);
    Guard(())
}

/// True once the user asked to stop.
pub fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}

impl Drop for Guard {
    fn drop(&mut self) {
        GUARDED.store(false, Ordering::SeqCst);
    }
}
