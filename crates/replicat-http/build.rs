//! Has the crate compiled anew when a file of the dashboard comes, changes or goes.

fn main() {
    println!("cargo:rerun-if-changed=dashboard");
}
