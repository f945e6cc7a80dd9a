//! The longer texts: the examples that `--help` teaches by.

pub(crate) const EXAMPLES: &str = "\
Examples:
  replicat sync laptop backup            make two directories equal
  replicat sync -n -i laptop backup      show what that would do, and do nothing
  replicat sync laptop backup /mnt/usb   three, or any number
  replicat sync --watch laptop backup    stay, and keep them equal
  replicat demo                          three nodes at work, in a temporary place
  replicat serve --directory site        keep a folder in sync with other nodes, live
  replicat conflicts laptop              what needs a decision
  replicat history laptop/notes.txt      the versions of a file
  replicat restore laptop/notes.txt      bring back what was deleted or overwritten

Exit codes:
  0  in sync
  1  in sync; new conflicts were kept as copies
  2  the command was not understood
  3  some paths are not in sync; they are listed
  4  a safety brake stopped it; nothing was deleted
  5  it could not be done";

pub(crate) const SYNC: &str = "\
Examples:
  replicat sync A B                      what is new in A goes to B, and the other way round
  replicat sync A B C                    any number; B and C tomorrow without A is fine
  replicat sync -n -i A B                the plan, with rsync's codes
  replicat sync --create A /mnt/usb/A    create the second if it is not there
  replicat sync --exclude '*.tmp' --exclude /cache/ A B
  replicat sync --include '*.jpg' --include '*/' --exclude '*' A B
  replicat sync --max-delete 100 A B     stop rather than delete more than 100 paths
  replicat sync --json A B | tail -n 1   the summary, for programs

A file changed in two places keeps both versions: the later one at its path, the other beside it
as name.conflict-NODE-DATE-TAG.ext. What a sync deletes or overwrites goes to the root's trash.
Patterns common to all roots belong in a `.replicatignore` file (gitignore syntax), which is synced.
Ctrl-C at any moment leaves every file whole; the next sync carries on.";

pub(crate) const SERVE: &str = "\
Examples:
  replicat keygen --output key                       one key for all nodes of a cluster
  replicat serve --name a --directory /srv/site --address 0.0.0.0:8787 --cluster-key-file key
  replicat serve --name b --directory /srv/site --cluster-key-file key --node a=10.0.0.1:8787
  replicat serve --directory site=/srv/site --directory home=/srv/home ...
  replicat serve --name c --manager HOST --manager-credentials TOKEN     all else from a manager
  replicat serve --config /etc/replicat.toml         all of it from a file; flags go before it
  replicat serve --http 127.0.0.1:8080 ...           with a dashboard; `replicat api token create` lets you in
  replicat status                                    how it stands
  replicat events --follow                           what it does
  replicat status --url nas:8080 --token-file t      how one on another host stands

A node stops at SIGTERM or Ctrl-C when what it began is finished, and reloads its settings and HTTP certificate at SIGHUP.";

pub(crate) const MANAGER: &str = "\
Examples:
  replicat manager serve                                  the manager itself, on port 8788
  replicat manager token create --role read-only          lets one node in, within an hour
  replicat serve --name nas --address 0.0.0.0:8787 --manager HOST --manager-credentials TOKEN
  replicat manager node list                              how the nodes stand
  replicat manager folder place site --node nas           has a node keep a folder
  replicat manager node remove nas                        cuts a node off, at once and everywhere

  replicat manager --manager nas:8081 --token-file t node list     a manager on another host

Without --manager the commands work on the state of the manager on this host, whether or not it runs.";

pub(crate) const FILE: &str = "\
Examples:
  export REPLICAT_URL=https://nas:8080 REPLICAT_TOKEN_FILE=~/.nas-token
  replicat file get docs/list                   to standard output
  replicat file get docs/list --output list     to a file, which appears when it is whole and checked
  replicat file put list docs/list              put there whole, or not at all
  replicat file put --if-new list docs/list     only if nothing is there
  replicat file remove docs/list                to the trash there

With several folders there, --folder says which.";

pub(crate) const REVERT: &str = "\
What is replaced or removed goes to the trash; what was deleted comes back.

Examples:
  replicat revert -n               list the local changes that peers refuse
  replicat revert                  drop them all
  replicat revert docs/list        drop the one at docs/list";

pub(crate) const RESOLVE: &str = "\
Examples:
  replicat conflicts A                          what there is to resolve
  replicat resolve --keep winner A/notes.txt    drop the copy
  replicat resolve --keep copy A/notes.txt      put the copy at the path
  replicat resolve --keep both A/notes.txt      keep it as a file of its own
  replicat resolve --keep local A/notes.txt     keep what A holds, wait no more for what is missing

Resolve at one root; the next sync carries it to the others.";

pub(crate) const FORGET: &str = "\
A replica is a directory that was synced: `replicat status DIR` lists the others that DIR has heard of, and which of them are behind.
One whose disk is gone, or that nobody syncs any more, stays behind for ever, until it is forgotten. The next syncs, or a running node,
tell the other replicas. No file and no history is touched. If the replica comes back, it is listed again.

  replicat forget old-laptop ~/docs
  replicat forget 00f2c9d81e64a07b --folder site";

pub(crate) const RESTORE: &str = "\
Examples:
  replicat history A/notes.txt                  the versions, with their numbers
  replicat restore A/notes.txt                  the latest before the current one
  replicat restore --revision 3 A/notes.txt     another one
  replicat restore --recursive A/photos         what was deleted in a directory
  replicat restore --recursive --at 2h A/photos what it held two hours ago; newer files stay
  replicat restore --all -n A                   show what was deleted anywhere in A

What stands at a path goes to the trash first. Contents that the root does not keep come from other nodes, if a node
that runs here is connected to them. Restore at one root; the next sync carries it to the others. Paths that could not be
restored are listed; the exit code is then 3.";

pub(crate) const TRASH: &str = "\
Examples:
  replicat trash list A
  replicat trash empty --older-than 7d A
  replicat trash empty --path photos/2019 --yes A

What is removed from the trash cannot be restored, unless another replica holds it.";

pub(crate) const SELECT: &str = "\
Examples:
  replicat select set A/docs A/photos/2024      keep only these directories in A
  replicat select add A/photos/2023             this one as well
  replicat select remove A/photos/2024/raw      all of the above, but not this one
  replicat select list A                        what is selected
  replicat select prune -n A                    show what would be removed from A
  replicat select prune A                       remove it, as far as peers of a running node keep it
  replicat select prune --holder B A            the same, as far as B keeps it
  replicat select all A                         keep everything again

What is not selected is out of scope: it is not synced, not pending, and never deleted. Only `prune` removes a copy, to the trash, and only
if another replica has the path selected and holds its content now. What stays is listed; the exit code is then 3.";

pub(crate) const EXCLUDE: &str = "Leave out what matches PATTERN (as in rsync); of all patterns the first match decides \
     [env: REPLICAT_EXCLUDE, a pattern a line]";

pub(crate) const INCLUDE: &str = "Let what matches PATTERN take part, whatever a later pattern says \
     [env: REPLICAT_INCLUDE, a pattern a line]";

pub(crate) const EXCLUDE_FROM: &str = "Read patterns from FILE: one a line, `+ PATTERN` to include, `#` for remarks \
     [env: REPLICAT_EXCLUDE_FROM]";

pub(crate) const WATCH_LIMITED: &str = "\
warning: the system does not watch all directories, so that they are scanned every few seconds
  hint: raise the limit with `sysctl fs.inotify.max_user_watches=1048576`";
