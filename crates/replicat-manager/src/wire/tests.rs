//! Messages there and back, and those that are none.

use super::*;

fn assignment() -> Assignment {
    Assignment {
        generation: 7,
        peers: [("b".parse().unwrap(), "10.0.0.2:8787".to_owned())].into(),
        revoked: [EnrolmentId(9)].into(),
        folders: [("site".parse().unwrap(), PlacementMode::SendOnly)].into(),
    }
}

fn report() -> NodeReport {
    NodeReport {
        status: "Online".to_owned(),
        folders: vec![FolderFigures {
            name: "site".parse().unwrap(),
            status: "Halted".to_owned(),
            reason: "no disk".to_owned(),
            mode: PlacementMode::ReceiveOnly,
            in_sync: true,
            paths: 1,
            pending: 2,
            bytes_sent: 3,
            bytes_received: 4,
        }],
        connected: vec!["b".to_owned()],
    }
}

#[test]
fn messages_survive_the_wire() {
    let address = Some("0.0.0.0:8787".to_owned());
    for message in [
        NodeMessage::Hello { address },
        NodeMessage::Hello { address: None },
        NodeMessage::Report(report()),
        NodeMessage::Report(NodeReport::default()),
        NodeMessage::Renew(vec![1, 2, 3]),
    ] {
        assert_eq!(NodeMessage::decode(message.encode()), Ok(message));
    }
    for message in [
        ManagerMessage::Assignment(assignment()),
        ManagerMessage::Assignment(Assignment::default()),
        ManagerMessage::Certificate(vec![1, 2, 3].into()),
    ] {
        assert_eq!(ManagerMessage::decode(message.encode()), Ok(message));
    }
    for answer in [
        EnrolmentAnswer::Granted {
            certificate: vec![1].into(),
            authority: vec![2].into(),
        },
        EnrolmentAnswer::Refused("no".to_owned()),
        EnrolmentAnswer::Failed("not now".to_owned()),
    ] {
        assert_eq!(EnrolmentAnswer::decode(answer.encode()), Ok(answer));
    }
}

#[test]
fn a_request_survives_the_wire() {
    let request = EnrolmentRequest {
        token: TokenId(5),
        secret: TokenSecret::from_bytes(&[6; 16]).unwrap(),
        name: "nas".parse().unwrap(),
        public_key: vec![1; 44],
    };
    let read = EnrolmentRequest::decode(request.encode().to_vec().into()).unwrap();
    assert_eq!((read.token, &read.name), (request.token, &request.name));
    assert_eq!(read.secret.hash(), request.secret.hash());
    assert_eq!(read.public_key, request.public_key);
}

fn field<T>(field: &'static str) -> Result<T, MessageError> {
    Err(MessageError::Field(field))
}

#[test]
fn what_is_out_of_range_is_refused() {
    let mut wire = report().to_wire();
    wire.folders[0].mode = 4;
    assert_eq!(NodeReport::from_wire(&wire), field("mode"));
    wire.folders = vec![wire.folders[0].clone(); ROWS_MAX + 1];
    assert_eq!(NodeReport::from_wire(&wire), field("folders"));

    let mut wire = assignment().to_wire();
    wire.peers[0].name = "a/b".to_owned();
    assert_eq!(Assignment::from_wire(&wire), field("peer"));
    wire.peers[0].name = "b".to_owned();
    wire.peers[0].address = String::new();
    assert_eq!(Assignment::from_wire(&wire), field("address"));

    let long = NodeMessage::Hello {
        address: Some("a".repeat(301)),
    };
    assert_eq!(NodeMessage::decode(long.encode()), field("address"));
    let empty = NodeMessage::Renew(Vec::new());
    assert_eq!(NodeMessage::decode(empty.encode()), field("public_key"));
    assert_eq!(NodeMessage::decode(Bytes::new()), field("body"));
    let garbage = ManagerMessage::decode(Bytes::from_static(&[0xff; 8]));
    assert!(matches!(garbage, Err(MessageError::Malformed(_))));
    let newer = schema::FromNode {
        body: Some(NodeBody::Hello(schema::Hello {
            protocol: 2,
            address: String::new(),
        })),
    };
    let newer = NodeMessage::decode(newer.encode_to_vec().into());
    assert_eq!(newer, Err(MessageError::Protocol(2)));
}

#[test]
fn texts_are_made_fit_to_be_shown() {
    let report = NodeReport {
        status: format!("On\nline\x1b{}", "x".repeat(1000)),
        ..NodeReport::default()
    };
    let read = NodeMessage::decode(NodeMessage::Report(report).encode());
    let Ok(NodeMessage::Report(read)) = read else {
        panic!("a report was sent");
    };
    assert!(read.status.starts_with("On line xxx"), "{}", read.status);
    assert_eq!(read.status.chars().count(), 400);
}
