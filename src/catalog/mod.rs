//! The models: what there is, where the files come from, where they lie on disk, whether they are whole.
//!
//! A [`Card`] describes a model. No byte of a model is used before its sha256 was checked. Only this module touches
//! the network, and only for a model the user named or agreed to.

pub mod card;
pub mod error;
pub mod reporter;

mod fetch;
mod resolve;
mod store;

pub use card::{Architecture, Card, card, cards};
pub use error::CatalogError;
pub use fetch::fetch;
pub use reporter::{Reporter, Silent};
pub use resolve::{Located, open_engine, resolve};
pub use store::{Store, sha256};
