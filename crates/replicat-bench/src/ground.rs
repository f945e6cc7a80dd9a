//! Fresh filesystems: an ext4 image in memory is made once for each work and copied for each run, so
//! that every contender starts from the very same blocks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::interrupt::Interrupt;

/// How the filesystem of a work is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    /// Its size in bytes; what is not used takes no memory.
    pub(crate) size: u64,
    /// Its block size in bytes.
    pub(crate) block_size: u32,
    /// How many files it can hold.
    pub(crate) inodes: u64,
}

/// The images of one work. They are removed when it is dropped.
pub(crate) struct Ground<'a> {
    interrupt: &'a Interrupt,
    images: TempDir,
    mount_point: TempDir,
}

/// A mounted image. It is unmounted when it is dropped.
pub(crate) struct Mounted {
    root: PathBuf,
}

impl<'a> Ground<'a> {
    /// Makes a filesystem under `directory` and lets `populate` fill it.
    pub(crate) fn prepare(
        interrupt: &'a Interrupt,
        directory: &Path,
        geometry: Geometry,
        populate: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Self> {
        let images = tempfile::Builder::new()
            .prefix("replicat-bench-")
            .tempdir_in(directory)
            .with_context(|| format!("could not make a directory in {}", directory.display()))?;
        let ground = Self {
            interrupt,
            images,
            mount_point: tempfile::Builder::new()
                .prefix("replicat-bench-")
                .tempdir()?,
        };
        ground.make_filesystem(geometry)?;
        let mounted = ground.mount(&ground.template())?;
        populate(mounted.root())?;
        drop(mounted);
        Ok(ground)
    }

    /// Mounts a fresh copy of the filesystem; the previous one must have been dropped.
    pub(crate) fn fresh(&self) -> Result<Mounted> {
        let image = self.images.path().join("run.img");
        self.interrupt.run_successfully(
            Command::new("cp")
                .arg("--sparse=always")
                .arg(self.template())
                .arg(&image),
        )?;
        self.mount(&image)
    }

    fn template(&self) -> PathBuf {
        self.images.path().join("template.img")
    }

    fn make_filesystem(&self, geometry: Geometry) -> Result<()> {
        fs::File::create(self.template())?.set_len(geometry.size)?;
        let mut command = Command::new("mkfs.ext4");
        command
            .args(["-q", "-F", "-m", "0", "-b"])
            .arg(geometry.block_size.to_string())
            .arg("-N")
            .arg(geometry.inodes.to_string())
            .arg(self.template());
        self.interrupt.run_successfully(&mut command).map(drop)
    }

    /// Without the kernel's lazy initialisation, which would run beside the clock.
    fn mount(&self, image: &Path) -> Result<Mounted> {
        self.interrupt.run_successfully(
            Command::new("mount")
                .args(["-o", "loop,noinit_itable"])
                .arg(image)
                .arg(self.mount_point.path()),
        )?;
        Ok(Mounted {
            root: self.mount_point.path().to_owned(),
        })
    }
}

impl Mounted {
    /// Where it is mounted.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }
}

impl Drop for Mounted {
    /// Not through [`Interrupt`]: this must work after it was raised.
    fn drop(&mut self) {
        for lazily in [None, Some("--lazy")] {
            let status = Command::new("umount").args(lazily).arg(&self.root).status();
            if status.is_ok_and(|status| status.success()) {
                return;
            }
        }
        eprintln!(
            "could not unmount {}; unmount it by hand",
            self.root.display()
        );
    }
}
