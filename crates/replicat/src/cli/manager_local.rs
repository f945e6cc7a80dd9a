//! What a manager is asked, done on its state: it need not run.

use std::time::SystemTime;

use replicat::control::management;
use replicat::http::client::ManagerCommand;
use replicat::manager::Manager;

use super::failure::Failure;
use super::json::Object;

/// Does it, and returns the objects of the answer.
pub(crate) async fn answer(
    manager: &Manager,
    command: &ManagerCommand,
) -> Result<Vec<Object>, Failure> {
    let now = SystemTime::now();
    let snapshot = manager.snapshot();
    let state = &snapshot.state;
    Ok(match command {
        ManagerCommand::Status => {
            let seen = manager.load_sightings().await?;
            let seen = seen.filter(|seen| seen.are_fresh(now));
            vec![management::manager(None, manager, seen.as_ref())]
        }
        ManagerCommand::Nodes => {
            let seen = manager.load_sightings().await?;
            let is_running = seen.as_ref().is_some_and(|seen| seen.are_fresh(now));
            let members = state.roster.members.iter();
            let row = |(name, member)| {
                let seen = seen.as_ref().and_then(|seen| seen.nodes.get(name));
                management::member(name, member, seen, is_running)
            };
            members.map(row).collect()
        }
        ManagerCommand::RemoveNode(name) => {
            manager.remove_node(name, now).await?;
            vec![management::node_removed(name)]
        }
        ManagerCommand::Tokens => state.tokens.values().map(management::token).collect(),
        ManagerCommand::CreateToken(order) => {
            let token = manager.create_token(order, now).await?;
            vec![management::new_token(&token, order)]
        }
        ManagerCommand::RemoveToken(id) => {
            manager.remove_token(*id).await?;
            vec![management::token_removed(*id)]
        }
        ManagerCommand::Placements => management::placements(&snapshot),
        ManagerCommand::Place(folder, node, mode) => {
            manager.place(folder, node, *mode).await?;
            vec![management::placement(folder, node, *mode)]
        }
        ManagerCommand::Withdraw(folder, node) => {
            manager.withdraw(folder, node).await?;
            vec![management::withdrawn(folder, node)]
        }
    })
}
