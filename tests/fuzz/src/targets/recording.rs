//! Files that claim to be recordings.

use sha2::{Digest, Sha256};
use windlass_engine::limits::Limits;
use windlass_manager::record::format::{FORMAT_VERSION, FormatError, Header, RecordedLimits, Recording};

use crate::Target;
use crate::input::records;

/// Any file gets an answer, its checksums being right or not.
pub(crate) const READ: Target = Target {
    name: "recording",
    run: read,
    mutations: 5_000,
};

/// A first record with a header (empty: one that is right), then records of what to add to a chunk's length; bodies
/// are chunks. The bytes as they are are a file too.
fn read(data: &[u8]) {
    let _ = Recording::read(data);
    let mut records = records(data);
    let Some(head) = records.next() else { return };
    let mut file = b"windlass-recording\n".to_vec();
    file.extend(FORMAT_VERSION.to_le_bytes());
    let right = serde_json::to_vec(&header()).expect("a header is JSON");
    let header = if head.body.is_empty() { &right } else { head.body };
    push_length(&mut file, header.len());
    push_checked(&mut file, header);
    let first_chunk = file.len();
    for record in records {
        let packed = lz4_flex::block::compress(record.body);
        let claimed = usize::try_from(record.number(0) % 4096).unwrap_or(0);
        push_length(&mut file, packed.len());
        push_length(&mut file, record.body.len() + claimed);
        push_checked(&mut file, &packed);
    }
    match Recording::read(&file) {
        Ok(recording) => assert!(recording.entries.len() <= data.len()),
        Err(FormatError::Corrupted { offset, .. }) => {
            assert!(
                offset >= first_chunk || !head.body.is_empty(),
                "the header is right"
            );
        }
        Err(error) => panic!("the beginning is right: {error}"),
    }
}

fn header() -> Header {
    Header {
        windlass: String::new(),
        contract: String::new(),
        module: "m".to_owned(),
        guest: "g".to_owned(),
        guest_version: String::new(),
        origin: String::new(),
        digest: String::new(),
        config: "{}".to_owned(),
        limits: RecordedLimits::from(&Limits::default()),
        watches: Vec::new(),
        started_unix_ms: 1,
        keys: Vec::new(),
        secrets_masked: true,
    }
}

fn push_length(file: &mut Vec<u8>, length: usize) {
    let length = u32::try_from(length).expect("inputs are shorter than 4 GiB");
    file.extend(length.to_le_bytes());
}

fn push_checked(file: &mut Vec<u8>, bytes: &[u8]) {
    file.extend(Sha256::digest(bytes).iter().take(8));
    file.extend(bytes);
}
