//! Telling people that something needs them, by commands and webhooks.
//!
//! Goals: whoever notifies never waits; a destination that is slow or gone holds up no other; what was told is one JSON object,
//! whatever it is told by; secrets are not logged.
//! Non-goals: deciding what is worth telling; keeping what is waiting over an end of the process.
//!
//! What is told, and how, is in `docs/notifications.md`.

mod delivery;
mod notification;
mod notifier;
mod subscription;

pub use delivery::DeliveryError;
pub use notification::{Kind, KindError, Notification};
pub use notifier::{Notifier, Pace};
pub use subscription::{Destination, Subscription, SubscriptionError};
