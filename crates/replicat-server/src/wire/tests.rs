//! Frames on the wire.

use super::*;

#[test]
fn frames_survive_the_wire() {
    let folder = FolderId(7);
    let offer = FolderOffer {
        folder,
        name: "site".parse().unwrap(),
        mode: FolderMode::SendOnly,
        epoch: 3,
    };
    for frame in [
        ControlFrame::Offer {
            folders: vec![offer],
            window: 5,
        },
        ControlFrame::Session {
            folder,
            epoch: 3,
            parcel: Parcel {
                message: Bytes::from_static(b"hello"),
                contents: vec![Bytes::new(), Bytes::from_static(b"content")],
            },
        },
        ControlFrame::Taken {
            folder,
            epoch: 3,
            bytes: 6,
        },
        ControlFrame::Close {
            folder,
            reason: "paused".to_owned(),
        },
        ControlFrame::Ask { id: 4, folder },
        ControlFrame::Standing {
            id: 4,
            standing: Standing {
                is_online: true,
                pending: 5,
            },
        },
    ] {
        assert_eq!(ControlFrame::decode(frame.encode()), Ok(frame));
    }
    let want = Want {
        content: ContentHash([5; 32]),
        path: RelPath::new(b"a/b").unwrap(),
        offset: 1,
        length: 2,
    };
    let request = |subject| {
        BulkFrame::Request(Request {
            id: 9,
            folder,
            subject,
        })
    };
    for frame in [
        request(Subject::Pieces(vec![want])),
        request(Subject::Manifest(ContentHash([6; 32]))),
        BulkFrame::Reply {
            id: 9,
            parts: vec![
                Part::Begin(Bytes::from_static(b"x")),
                Part::Piece(Bytes::new()),
                Part::Missing,
            ],
        },
        BulkFrame::Cancel(9),
    ] {
        assert_eq!(BulkFrame::decode(frame.clone().encode()), Ok(frame));
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let offer = |protocol, mode, name: &str| {
        let folder = schema::OfferedFolder {
            folder: folder_bytes(FolderId(1)),
            name: name.to_owned(),
            mode,
            epoch: 0,
        };
        let offer = schema::Offer {
            protocol,
            folders: vec![folder],
            window: 0,
        };
        let body = Some(ControlBody::Offer(offer));
        ControlFrame::decode(schema::Control { body }.encode_to_vec().into())
    };
    assert!(offer(1, 1, "site").is_ok());
    assert_eq!(offer(2, 1, "site"), Err(FrameError::Protocol(2)));
    assert_eq!(offer(1, 9, "site"), Err(FrameError::Field("mode")));
    assert_eq!(offer(1, 1, "../x"), Err(FrameError::Field("name")));
    assert!(ControlFrame::decode(Bytes::from_static(b"\xff\xff")).is_err());
    let want = |length, path: &'static [u8]| schema::Want {
        content: Bytes::from_static(&[0; 32]),
        path: Bytes::from_static(path),
        offset: 1,
        length,
    };
    assert!(super::want(&want(u64::MAX, b"a")).is_err());
    assert!(super::want(&want(1, b"../a")).is_err());
}

/// As a node writes it that knows nothing of contents that travel along.
#[derive(Clone, PartialEq, prost::Message)]
struct PlainSession {
    #[prost(bytes = "bytes", tag = "1")]
    folder: Bytes,
    #[prost(uint64, tag = "2")]
    epoch: u64,
    #[prost(bytes = "bytes", tag = "3")]
    message: Bytes,
}

#[test]
fn a_node_that_knows_nothing_of_contents_understands_the_rest_and_is_understood() {
    let session = schema::Session {
        folder: folder_bytes(FolderId(1)),
        epoch: 2,
        message: Bytes::from_static(b"hello"),
        contents: vec![Bytes::from_static(b"content")],
    };
    let plain = PlainSession::decode(Bytes::from(session.encode_to_vec())).unwrap();
    assert_eq!((plain.epoch, &plain.message[..]), (2, &b"hello"[..]));
    let whole = schema::Session::decode(Bytes::from(plain.encode_to_vec())).unwrap();
    assert_eq!(whole.message, session.message);
    assert!(whole.contents.is_empty());
}

/// As a node writes it that knows nothing of `keeps`.
#[derive(Clone, PartialEq, prost::Message)]
struct PlainRequest {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(bytes = "bytes", tag = "2")]
    folder: Bytes,
    #[prost(message, repeated, tag = "3")]
    wants: Vec<schema::Want>,
}

#[test]
fn old_node_takes_the_question_who_keeps_a_file_for_a_want() {
    let want = Want {
        content: ContentHash([3; 32]),
        path: RelPath::new(b"a").unwrap(),
        offset: 0,
        length: 1,
    };
    let request = Request {
        id: 5,
        folder: FolderId(1),
        subject: Subject::Keeps(vec![want.clone()]),
    };
    let frame = BulkFrame::Request(request.clone());
    assert_eq!(BulkFrame::decode(frame.clone().encode()), Ok(frame));
    let plain = PlainRequest::decode(Bytes::from(request.into_wire().encode_to_vec())).unwrap();
    assert_eq!(super::want(&plain.wants[0]), Ok(want));
}

#[test]
fn more_content_than_may_travel_with_a_message_is_refused() {
    let frame = |contents: Vec<Bytes>| {
        let session = schema::Session {
            folder: folder_bytes(FolderId(1)),
            epoch: 2,
            message: Bytes::new(),
            contents,
        };
        let body = Some(ControlBody::Session(session));
        ControlFrame::decode(schema::Control { body }.encode_to_vec().into())
    };
    let content = |bytes: usize| Bytes::from(vec![1; bytes]);
    assert!(frame(vec![content(64 << 10); 4]).is_ok());
    for hostile in [
        vec![content((64 << 10) + 1)],
        vec![content(64 << 10); 5],
        vec![Bytes::new(); 513],
    ] {
        assert_eq!(frame(hostile), Err(FrameError::Field("contents")));
    }
}
