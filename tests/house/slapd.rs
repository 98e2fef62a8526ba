//! OpenLDAP as a directory of our recipients.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::running::{free, wait_until};

/// The name and password that may read.
pub const READER: (&str, &str) = ("cn=reader,dc=sundby,dc=example", "hush");

/// slapd, running until dropped.
pub struct Slapd {
    pub plain: SocketAddr,
    pub tls: SocketAddr,
    /// The certificate it shows, in PEM: for 127.0.0.1.
    pub certificate: std::path::PathBuf,
    child: Option<Child>,
    folder: TempDir,
}

const ENTRIES: &str = "\
dn: dc=sundby,dc=example
objectClass: organization
objectClass: dcObject
o: Sundby
dc: sundby

dn: cn=reader,dc=sundby,dc=example
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: reader
userPassword: hush

dn: cn=Anna Berg,dc=sundby,dc=example
objectClass: inetOrgPerson
cn: Anna Berg
sn: Berg
mail: anna.berg@sundby.example
mail: anna@sundby.example

";

impl Slapd {
    /// Starts it with one person, whom the reader alone may find.
    pub fn start() -> Self {
        assert!(Path::new("/usr/sbin/slapd").exists(), "PEER MISSING: slapd; tests/run installs it");
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("db")).unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(path("tls.pem"), made.cert.pem()).unwrap();
        std::fs::write(path("tls.key"), made.signing_key.serialize_pem()).unwrap();
        let settings = format!(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\ninclude /etc/ldap/schema/inetorgperson.schema\n\
             modulepath /usr/lib/ldap\nmoduleload back_mdb\npidfile {0}/pid\nTLSCertificateFile {0}/tls.pem\nTLSCertificateKeyFile {0}/tls.key\n\
             attributetype ( 1.2.840.113556.1.2.210 NAME 'proxyAddresses' EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )\n\
             database mdb\nsuffix \"dc=sundby,dc=example\"\ndirectory {0}/db\n\
             access to * by dn.exact=\"{1}\" read by anonymous auth\n",
            folder.path().display(),
            READER.0
        );
        std::fs::write(path("slapd.conf"), settings).unwrap();
        std::fs::write(path("entries.ldif"), ENTRIES).unwrap();
        let added = Command::new("/usr/sbin/slapadd")
            .arg("-f")
            .arg(path("slapd.conf"))
            .arg("-l")
            .arg(path("entries.ldif"))
            .output()
            .unwrap();
        assert!(added.status.success(), "slapadd: {}", String::from_utf8_lossy(&added.stderr));
        let certificate = path("tls.pem");
        let mut slapd = Self { plain: free(), tls: free(), certificate, child: None, folder };
        slapd.run();
        slapd
    }

    /// Starts it again.
    pub fn run(&mut self) {
        let child = Command::new("/usr/sbin/slapd")
            .arg("-f")
            .arg(self.folder.path().join("slapd.conf"))
            .args(["-h", &format!("ldap://{} ldaps://{}", self.plain, self.tls), "-d", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        wait_until("slapd", || std::net::TcpStream::connect(self.tls).is_ok());
    }

    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            _ = child.kill();
            _ = child.wait();
        }
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        self.stop();
    }
}
