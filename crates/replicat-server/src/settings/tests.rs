//! What settings are read, and what is said of those that cannot be.

use super::*;

#[track_caller]
fn error(toml: &str) -> String {
    Settings::from_toml(toml).unwrap_err().to_string()
}

#[test]
fn toml_and_json_say_the_same() {
    let toml = "name = \"a\"\nbwlimit = \"1m\"\n[[folders]]\nname = \"site\"\ndirectory = \"/srv/site\"\n\
        mode = \"receive-only\"\nexclude = [\"*.tmp\", \"+ keep\"]\n[[nodes]]\nname = \"b\"\naddress = \"h:1\"\n";
    let json = r#"{"name": "a", "bwlimit": "1m", "nodes": [{"name": "b", "address": "h:1"}], "folders":
        [{"name": "site", "directory": "/srv/site", "mode": "receive-only", "exclude": ["*.tmp", "+ keep"]}]}"#;
    let settings = Settings::from_toml(toml).unwrap();
    assert_eq!(settings, Settings::from_json(json).unwrap());
    assert_eq!(settings.folders[0].mode, FolderMode::ReceiveOnly);
    assert_eq!(settings.folders[0].rules().unwrap().len(), 2);
    let again = serde_json::to_string(&settings).unwrap();
    assert_eq!(Settings::from_json(&again).unwrap(), settings);
}

#[test]
fn a_mistake_is_named_with_what_was_meant() {
    assert_eq!(
        error("adress = \"x\""),
        "line 1, column 1: there is no setting `adress`: did you mean `address`?"
    );
    assert!(
        error("[[folders]]\ndirectory = \"/srv\"\ndurable = true").starts_with(
            "line 3, column 1: there is no setting `folders[0].durable`; there are name, directory, mode"
        )
    );
    assert!(
        error("zzz = 1")
            .starts_with("line 1, column 1: there is no setting `zzz`; there are name, ")
    );
    assert!(error("name = 7").contains("the setting `name` is wrong: invalid type"));
    assert!(error("nodes = [{}]").contains("`nodes[0]` is wrong: missing field `address`"));
    assert!(error("name = \"a b\"").contains("cannot name a node"));
    assert!(
        error("[[folders]]\ndirectory = \"d\"\nmode = \"send\"")
            .contains("is none of read-write, send-only, receive-only")
    );
    assert!(error("bwlimit = \"fast\"").contains("is no rate"));
    assert!(error("cluster_key = \"abc\"").contains("56 characters"));
    let secret = error("name = \"a\"\ncluster_key = s3cret");
    assert!(secret.starts_with("line 2, column "), "{secret}");
    assert!(secret.contains("this is not TOML"), "{secret}");
    assert!(!secret.contains("s3cret"), "{secret}");
}

#[test]
fn all_mistakes_of_a_file_are_named_with_their_lines() {
    let toml = "name = 7\nbwlimit = \"fast\"\n[[folders]]\nname = \"x\"\n[[folders]]\ndirectory = 1\n\
        mode = \"send\"\n[[folders]]\ndirectory = \"/a\"\nmod = \"x\"\n[[nodes]]\naddress = \"b\"\n";
    let json = r#"{"name": 7,
        "bwlimit": "fast",
        "folders": [{"name": "x"},
        {"directory": 1,
        "mode": "send"},
        {"directory": "/a", "mod": "x"}],
        "nodes": [{"address": "b"}]}"#;
    let directory = tempfile::tempdir().unwrap();
    for (file, text, places) in [
        ("s.toml", toml, ["1:1", "2:1", "3:1", "6:1", "7:1", "10:1"]),
        (
            "s.json",
            json,
            ["1:2", "2:9", "3:21", "4:10", "5:9", "6:29"],
        ),
    ] {
        let path = directory.path().join(file);
        std::fs::write(&path, text).unwrap();
        let (settings, errors) = Settings::check_file(&path);
        let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
        let places = places.map(|place| format!("{}:{place}: ", path.display()));
        for (error, place) in errors.iter().zip(&places) {
            assert!(error.starts_with(place), "{place} of {errors:#?}");
        }
        assert_eq!(errors.len(), places.len(), "{errors:#?}");
        // The rest is read.
        assert_eq!(settings.nodes.len(), 1);
        assert_eq!(settings.folders[0].directory, Path::new("/a"));
        let whole = Settings::from_file(&path).unwrap_err().to_string();
        assert!(errors.iter().all(|error| whole.contains(error)), "{whole}");
    }
}

#[test]
fn folders_that_overlap_are_refused() {
    assert!(
        error("[[folders]]\ndirectory = \"/a\"\n[[folders]]\ndirectory = \"/b\"")
            .contains("two folders are named default")
    );
    assert!(
        error("[[folders]]\ndirectory = \"/a\"\n[[folders]]\nname = \"x\"\ndirectory = \"/a/b\"")
            .contains("one lies in the other")
    );
}

#[test]
fn the_short_forms_are_read() {
    let node = NodeSettings::parse("b=10.0.0.2:8787").unwrap();
    assert_eq!(node.name.unwrap().as_str(), "b");
    assert_eq!(node.address, "10.0.0.2:8787");
    assert!(NodeSettings::parse("b=").is_err());
    let folder = FolderSettings::parse("site=/srv/site").unwrap();
    assert_eq!(folder.name.as_str(), "site");
    let folder = FolderSettings::parse("./a=b").unwrap();
    assert_eq!(folder.name.as_str(), DEFAULT_FOLDER);
    assert_eq!(folder.directory, Path::new("./a=b"));
}

#[test]
fn addresses_are_filled_up() {
    let listen = |address: &str| {
        let address = Some(address.to_owned());
        let settings = Settings {
            address,
            ..Settings::default()
        };
        settings.listen_address().unwrap()
    };
    assert_eq!(listen("8000"), "0.0.0.0:8000");
    assert_eq!(listen(":8000"), "0.0.0.0:8000");
    assert_eq!(listen("host"), "host:8787");
    assert_eq!(listen("[::1]:9"), "[::1]:9");
    assert_eq!(listen("::1"), "[::1]:8787");
}

#[test]
fn all_nodes_agree_on_the_id_of_a_folder() {
    let key = ClusterKey::generate().unwrap();
    let id =
        |key: &ClusterKey, name: &str| folder_id(key.cluster_id().unwrap(), &name.parse().unwrap());
    assert_eq!(id(&key, "site"), id(&key, "site"));
    assert_ne!(id(&key, "site"), id(&key, "home"));
    assert_ne!(
        id(&key, "site"),
        id(&ClusterKey::generate().unwrap(), "site")
    );
}

#[test]
fn variables_go_before_files_and_a_key_is_not_shown() {
    let mut settings = Settings::from_toml("name = \"a\"\naddress = \"x:1\"").unwrap();
    let set = |name: &str| match name {
        "REPLICAT_NAME" => Some("b".to_owned()),
        "REPLICAT_DIRECTORY" => Some("site=/srv/site\n/srv/other".to_owned()),
        "REPLICAT_MODE" => Some("send-only".to_owned()),
        _ => None,
    };
    settings.apply_variables(set).unwrap();
    assert_eq!(settings.node_name().as_str(), "b");
    assert_eq!(settings.address.as_deref(), Some("x:1"));
    assert_eq!(settings.folders.len(), 2);
    assert_eq!(settings.folders[1].mode, FolderMode::SendOnly);
    let wrong = |name: &str| (name == "REPLICAT_CLUSTER_KEY").then(|| "secret!".to_owned());
    let error = settings.apply_variables(wrong).unwrap_err().to_string();
    assert!(!error.contains("secret!"), "{error}");
}

#[test]
fn remote_place_is_no_directory_of_a_folder() {
    for place in [
        "user@host:/x",
        "ssh://h/x",
        "s3://b/c",
        "replicat://h:1/site",
    ] {
        let said = error(&format!("[[folders]]\ndirectory = {place:?}"));
        assert!(said.contains("`folders.default.directory`"), "{said}");
        assert!(said.contains(&format!("./{place}")), "{said}");
        Settings::from_toml(&format!("[[folders]]\ndirectory = \"./{place}\"")).unwrap();
    }
    assert!(error("folders_directory = \"nas:/srv\"").contains("`folders_directory`"));
}

#[test]
fn tilde_of_a_setting_is_the_home_directory() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("settings.toml");
    let text =
        "node_state = \"~\"\ncluster_key_file = \"~/key\"\n[[folders]]\ndirectory = \"~/site\"\n";
    std::fs::write(&file, text).unwrap();
    let mut settings = Settings::from_file(&file).unwrap();
    assert!(settings.clone().expand_home(None).is_err());
    settings.expand_home(Some("/ann".as_ref())).unwrap();
    assert_eq!(settings.folders[0].directory, Path::new("/ann/site"));
    assert_eq!(settings.node_state.as_deref(), Some(Path::new("/ann/")));
    assert_eq!(
        settings.cluster_key_file.as_deref(),
        Some(Path::new("/ann/key"))
    );
}

#[test]
fn tilde_with_a_user_is_refused() {
    let said = error("[[folders]]\nname = \"site\"\ndirectory = \"~bob/site\"");
    assert!(
        said.contains("`folders.site.directory`") && said.contains("./~bob/site"),
        "{said}"
    );
    let mut settings = Settings::from_toml("http_key = \"~bob/key\"").unwrap();
    let refused = settings.expand_home(Some("/ann".as_ref()));
    assert!(refused.unwrap_err().to_string().contains("`http_key`"));
}
