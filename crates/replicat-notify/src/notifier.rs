//! A queue for each destination.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinSet;

use crate::delivery::{agent, deliver};
use crate::notification::Notification;
use crate::subscription::{Destination, Subscription, SubscriptionError};

/// How many notifications wait for one destination.
const QUEUE_MAX: usize = 256;

/// How long things may take.
#[derive(Clone, Debug)]
pub struct Pace {
    /// The pauses before each further attempt.
    pub pauses: Vec<Duration>,
    /// How long a command may run.
    pub command: Duration,
    /// How long a request may take.
    pub webhook: Duration,
    /// How long what is waiting has at the end.
    pub end: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            pauses: [1, 4, 16, 64].map(Duration::from_secs).to_vec(),
            command: Duration::from_secs(30),
            webhook: Duration::from_secs(10),
            end: Duration::from_secs(5),
        }
    }
}

/// Tells all that subscribed; by default, nobody did. Dropped, it delivers what is waiting as long as the runtime lives.
#[derive(Default)]
pub struct Notifier {
    queues: Mutex<Vec<Queue>>,
    tasks: Mutex<JoinSet<()>>,
    end_patience: Duration,
}

struct Queue {
    subscription: Subscription,
    destination: Destination,
    waiting: Sender<Arc<Notification>>,
}

impl Notifier {
    /// Opens a queue for each subscription. To be called within a runtime.
    ///
    /// # Errors
    /// If one of them cannot be delivered to, with its place in the list, from 0.
    pub fn start(
        subscriptions: &[Subscription],
        pace: &Pace,
    ) -> Result<Self, (usize, SubscriptionError)> {
        let mut queues = Vec::new();
        for (at, subscription) in subscriptions.iter().enumerate() {
            let destination = subscription.destination();
            queues.push((subscription, destination.map_err(|error| (at, error))?));
        }
        let mut tasks = JoinSet::new();
        let queues = queues.into_iter().map(|(subscription, destination)| {
            let (waiting, receiver) = mpsc::channel(QUEUE_MAX);
            tasks.spawn(follow(destination.clone(), receiver, pace.clone()));
            Queue {
                subscription: subscription.clone(),
                destination,
                waiting,
            }
        });
        let queues = queues.collect();
        Ok(Self {
            queues: Mutex::new(queues),
            tasks: Mutex::new(tasks),
            end_patience: pace.end,
        })
    }

    /// Whether anybody is told anything.
    #[must_use]
    pub fn has_subscribers(&self) -> bool {
        !lock(&self.queues).is_empty()
    }

    /// Tells all who want to hear of it. Does not wait.
    pub fn tell(&self, notification: Notification) {
        let notification = Arc::new(notification);
        for queue in lock(&self.queues).iter() {
            if !queue.subscription.wants(notification.kind) {
                continue;
            }
            if queue.waiting.try_send(Arc::clone(&notification)).is_err() {
                let (destination, text) = (&queue.destination, &notification.text);
                tracing::error!(%destination, text, "too many notifications wait; this one is dropped");
            }
        }
    }

    /// Gives what is waiting a moment to be delivered. Nothing can be told afterwards.
    pub async fn finish(&self) {
        lock(&self.queues).clear();
        let mut tasks = std::mem::take(&mut *lock(&self.tasks));
        let all = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(self.end_patience, all).await.is_err() {
            tracing::warn!("notifications that were waiting are not delivered");
            tasks.abort_all();
        }
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        lock(&self.tasks).detach_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn follow(destination: Destination, mut waiting: Receiver<Arc<Notification>>, pace: Pace) {
    let agent = agent(pace.webhook);
    while let Some(notification) = waiting.recv().await {
        let mut pauses = pace.pauses.iter();
        loop {
            let attempt = deliver(&destination, &agent, &notification, pace.command);
            let Err(error) = attempt.await else { break };
            let pause = pauses.next().filter(|_| error.may_pass());
            let text = &notification.text;
            let Some(pause) = pause else {
                tracing::error!(%destination, %error, text, "a notification is given up");
                break;
            };
            tracing::warn!(%destination, %error, text, "a notification is tried again");
            tokio::time::sleep(*pause).await;
        }
    }
}
