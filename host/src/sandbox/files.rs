//! `wasi:filesystem` over granted directories: wasmtime-wasi's implementation with a quota in front of every call that makes something grow, and with
//! everything refused that is neither a regular file nor a directory.
//!
//! A special file is recognised by a look before the open. A guest cannot make one, so only somebody outside could swap a file for a FIFO in between;
//! the open then waits in the blocking pool of the guests' runtime and the run's time limit ends the run.

use super::meter::{Meter, escape};
use super::state::RunState;
use bytes::Bytes;
use std::path::PathBuf;
use std::sync::Arc;
use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::filesystem::{WasiFilesystemCtxView, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode,
    Filesize, HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags,
    PathFlags,
};
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, FsError, FsResult, OutputStream, Pollable, StreamError,
    StreamResult,
};
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

type Fd = Resource<types::Descriptor>;
type Entries = Resource<types::DirectoryEntryStream>;

/// A directory that a guest sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Where it is on the host.
    pub host: PathBuf,
    /// Where the guest sees it.
    pub guest: String,
    /// Whether the guest may change it.
    pub write: bool,
}

impl Directory {
    pub(super) fn open(&self, builder: &mut WasiCtxBuilder) -> wasmtime::Result<()> {
        let perms = if self.write {
            FsPerms::ReadWrite
        } else {
            FsPerms::ReadOnly
        };
        builder
            .preopened_dir(&self.host, &self.guest, perms)
            .map_err(|error| {
                wasmtime::Error::from(super::HostFault(format!(
                    "the directory `{}` of the grant for `{}` cannot be opened: {error}",
                    self.host.display(),
                    self.guest
                )))
            })?;
        Ok(())
    }
}

pub(super) struct Files<'a> {
    inner: WasiFilesystemCtxView<'a>,
    meter: Arc<Meter>,
}

struct HasFiles;

impl HasData for HasFiles {
    type Data<'a> = Files<'a>;
}

impl RunState {
    fn files(&mut self) -> Files<'_> {
        Files {
            meter: Arc::clone(&self.meter),
            inner: self.filesystem(),
        }
    }
}

pub(super) fn link(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    types::add_to_linker::<RunState, HasFiles>(linker, RunState::files)
}

impl Files<'_> {
    fn bytes(&self, bytes: u64) -> FsResult<()> {
        if self.meter.charge_file_bytes(bytes) {
            Ok(())
        } else {
            Err(ErrorCode::Quota.into())
        }
    }

    fn file(&self) -> FsResult<()> {
        if self.meter.charge_file() {
            Ok(())
        } else {
            Err(ErrorCode::Quota.into())
        }
    }

    /// Lists a refusal of the sandbox; errors of the file system itself pass.
    fn told<T>(&self, attempt: &str, path: &str, answer: FsResult<T>) -> FsResult<T> {
        let Err(error) = answer else {
            return answer;
        };
        let code = match error.downcast_ref() {
            Some(code) => *code,
            None => return Err(error),
        };
        let (reason, allow) = match code {
            ErrorCode::NotPermitted | ErrorCode::ReadOnly => (
                "the directory is granted for reading, or the path leaves it",
                "directories = [{ host = \"DIRECTORY\", guest = \"/PATH\", write = true }]",
            ),
            ErrorCode::Access => (
                "the path leaves the granted directory, or the file's permissions forbid it",
                "directories = [{ host = \"DIRECTORY\", guest = \"/PATH\" }]",
            ),
            _ => return Err(error),
        };
        let path: String = path.chars().take(200).collect();
        self.meter.deny(
            "files",
            format!("{attempt} `{}`", escape(&path)),
            reason.into(),
            allow.into(),
        );
        Err(error)
    }

    fn metered(
        &mut self,
        stream: Resource<DynOutputStream>,
    ) -> FsResult<Resource<DynOutputStream>> {
        let inner = self.inner.table.delete(stream)?;
        let metered: DynOutputStream = Box::new(Metered {
            inner,
            meter: Arc::clone(&self.meter),
        });
        Ok(self.inner.table.push(metered)?)
    }
}

/// An output stream that charges what is written.
struct Metered {
    inner: DynOutputStream,
    meter: Arc<Meter>,
}

#[wasmtime_wasi::async_trait]
impl Pollable for Metered {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}

#[wasmtime_wasi::async_trait]
impl OutputStream for Metered {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if !self.meter.charge_file_bytes(bytes.len() as u64) {
            let full = std::io::Error::from_raw_os_error(rustix::io::Errno::DQUOT.raw_os_error());
            return Err(StreamError::LastOperationFailed(full.into()));
        }
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.inner.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.inner.check_write()
    }

    async fn cancel(&mut self) {
        self.inner.cancel().await;
    }
}

impl types::Host for Files<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        types::Host::convert_error_code(&mut self.inner, error)
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        types::Host::filesystem_error_code(&mut self.inner, error)
    }
}

impl HostDescriptor for Files<'_> {
    async fn open_at(
        &mut self,
        fd: Fd,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Fd> {
        let looked = self
            .inner
            .stat_at(Resource::new_borrow(fd.rep()), path_flags, path.clone())
            .await;
        match looked {
            Ok(stat) => {
                if !matches!(
                    stat.type_,
                    DescriptorType::RegularFile
                        | DescriptorType::Directory
                        | DescriptorType::SymbolicLink
                ) {
                    let answer = Err(ErrorCode::NotPermitted.into());
                    return self.told("open the special file", &path, answer);
                }
            }
            Err(_) if open_flags.contains(OpenFlags::CREATE) => self.file()?,
            // The open itself gives the better error.
            Err(_) => {}
        }
        if flags.contains(DescriptorFlags::WRITE)
            || open_flags.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE)
        {
            self.meter.row().await;
        }
        let answer = self
            .inner
            .open_at(fd, path_flags, path.clone(), open_flags, flags)
            .await;
        if answer.is_ok() {
            let chars: String = path.chars().take(100).collect();
            self.meter.reach("file", &escape(&chars));
        }
        self.told("open", &path, answer)
    }

    async fn write(&mut self, fd: Fd, buffer: Vec<u8>, offset: Filesize) -> FsResult<Filesize> {
        self.bytes(buffer.len() as u64)?;
        self.inner.write(fd, buffer, offset).await
    }

    async fn set_size(&mut self, fd: Fd, size: Filesize) -> FsResult<()> {
        let stat = self.inner.stat(Resource::new_borrow(fd.rep())).await?;
        self.bytes(size.saturating_sub(stat.size))?;
        let answer = self.inner.set_size(fd, size).await;
        self.told("change the size of", "a file", answer)
    }

    async fn create_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        self.meter.row().await;
        self.file()?;
        let answer = self.inner.create_directory_at(fd, path.clone()).await;
        self.told("make the directory", &path, answer)
    }

    async fn link_at(
        &mut self,
        fd: Fd,
        old_path_flags: PathFlags,
        old_path: String,
        new_descriptor: Fd,
        new_path: String,
    ) -> FsResult<()> {
        self.meter.row().await;
        self.file()?;
        let answer = self
            .inner
            .link_at(
                fd,
                old_path_flags,
                old_path,
                new_descriptor,
                new_path.clone(),
            )
            .await;
        self.told("link", &new_path, answer)
    }

    async fn symlink_at(&mut self, fd: Fd, old_path: String, new_path: String) -> FsResult<()> {
        self.meter.row().await;
        self.file()?;
        let answer = self.inner.symlink_at(fd, old_path, new_path.clone()).await;
        self.told("link", &new_path, answer)
    }

    fn write_via_stream(
        &mut self,
        fd: Fd,
        offset: Filesize,
    ) -> FsResult<Resource<DynOutputStream>> {
        let stream = self.inner.write_via_stream(fd, offset)?;
        self.metered(stream)
    }

    fn append_via_stream(&mut self, fd: Fd) -> FsResult<Resource<DynOutputStream>> {
        let stream = self.inner.append_via_stream(fd)?;
        self.metered(stream)
    }

    async fn rename_at(
        &mut self,
        fd: Fd,
        old_path: String,
        new_fd: Fd,
        new_path: String,
    ) -> FsResult<()> {
        self.meter.row().await;
        let answer = self
            .inner
            .rename_at(fd, old_path.clone(), new_fd, new_path)
            .await;
        self.told("rename", &old_path, answer)
    }

    async fn remove_directory_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        self.meter.row().await;
        let answer = self.inner.remove_directory_at(fd, path.clone()).await;
        self.told("remove", &path, answer)
    }

    async fn unlink_file_at(&mut self, fd: Fd, path: String) -> FsResult<()> {
        self.meter.row().await;
        let answer = self.inner.unlink_file_at(fd, path.clone()).await;
        self.told("remove", &path, answer)
    }

    async fn set_times(
        &mut self,
        fd: Fd,
        access: NewTimestamp,
        modification: NewTimestamp,
    ) -> FsResult<()> {
        let answer = self.inner.set_times(fd, access, modification).await;
        self.told("set the times of", "a file", answer)
    }

    async fn set_times_at(
        &mut self,
        fd: Fd,
        path_flags: PathFlags,
        path: String,
        access: NewTimestamp,
        modification: NewTimestamp,
    ) -> FsResult<()> {
        self.meter.row().await;
        let answer = self
            .inner
            .set_times_at(fd, path_flags, path.clone(), access, modification)
            .await;
        self.told("set the times of", &path, answer)
    }

    // From here on nothing grows and nothing changes: the calls pass through.

    async fn advise(
        &mut self,
        fd: Fd,
        offset: Filesize,
        len: Filesize,
        advice: Advice,
    ) -> FsResult<()> {
        self.inner.advise(fd, offset, len, advice).await
    }

    async fn sync_data(&mut self, fd: Fd) -> FsResult<()> {
        self.inner.sync_data(fd).await
    }

    async fn get_flags(&mut self, fd: Fd) -> FsResult<DescriptorFlags> {
        self.inner.get_flags(fd).await
    }

    async fn get_type(&mut self, fd: Fd) -> FsResult<DescriptorType> {
        self.inner.get_type(fd).await
    }

    async fn read(&mut self, fd: Fd, len: Filesize, offset: Filesize) -> FsResult<(Vec<u8>, bool)> {
        self.inner.read(fd, len, offset).await
    }

    async fn read_directory(&mut self, fd: Fd) -> FsResult<Entries> {
        self.inner.read_directory(fd).await
    }

    async fn sync(&mut self, fd: Fd) -> FsResult<()> {
        self.inner.sync(fd).await
    }

    async fn stat(&mut self, fd: Fd) -> FsResult<DescriptorStat> {
        self.inner.stat(fd).await
    }

    async fn stat_at(
        &mut self,
        fd: Fd,
        path_flags: PathFlags,
        path: String,
    ) -> FsResult<DescriptorStat> {
        let answer = self.inner.stat_at(fd, path_flags, path.clone()).await;
        self.told("look at", &path, answer)
    }

    async fn readlink_at(&mut self, fd: Fd, path: String) -> FsResult<String> {
        // A link that leads out is refused when it is followed; looking at it tells nothing and denies nothing.
        self.inner.readlink_at(fd, path).await
    }

    fn read_via_stream(&mut self, fd: Fd, offset: Filesize) -> FsResult<Resource<DynInputStream>> {
        self.inner.read_via_stream(fd, offset)
    }

    async fn is_same_object(&mut self, one: Fd, other: Fd) -> wasmtime::Result<bool> {
        self.inner.is_same_object(one, other).await
    }

    async fn metadata_hash(&mut self, fd: Fd) -> FsResult<MetadataHashValue> {
        self.inner.metadata_hash(fd).await
    }

    async fn metadata_hash_at(
        &mut self,
        fd: Fd,
        path_flags: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        self.inner.metadata_hash_at(fd, path_flags, path).await
    }

    fn drop(&mut self, fd: Fd) -> wasmtime::Result<()> {
        HostDescriptor::drop(&mut self.inner, fd)
    }
}

impl HostDirectoryEntryStream for Files<'_> {
    async fn read_directory_entry(&mut self, entries: Entries) -> FsResult<Option<DirectoryEntry>> {
        self.inner.read_directory_entry(entries).await
    }

    fn drop(&mut self, entries: Entries) -> wasmtime::Result<()> {
        HostDirectoryEntryStream::drop(&mut self.inner, entries)
    }
}
