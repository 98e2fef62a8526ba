//! NIST's path validation suite (PKITS 1.0.1), as far as it lies beside the project: every test with an odd number.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use der::oid::ObjectIdentifier;
use sealgate::cms::{
    Certificate, Check, Crl, Evidence, Flaw, PathFault, PolicyDemand, Pool, Purpose, SignatureFault, Sources,
    Strictness,
};

/// All of the suite is valid from 2010 to 2030, but for what is meant not to be.
const AT: i64 = 1_577_836_800;

/// Section of the suite, certificate, what is demanded of policies, and whether the path is valid. A demand is words:
/// numbers of the suite's policies that are acceptable, `explicit`, `no-mapping`, `no-any`.
const TESTS: &[(u8, &str, &str, bool)] = &[
    (1, "ValidCertificatePathTest1", "", true),
    (1, "InvalidEESignatureTest3", "", false),
    (2, "InvalidCAnotBeforeDateTest1", "", false),
    (2, "Validpre2000UTCnotBeforeDateTest3", "", true),
    (2, "InvalidCAnotAfterDateTest5", "", false),
    (2, "Invalidpre2000UTCEEnotAfterDateTest7", "", false),
    (3, "InvalidNameChainingTest1", "", false),
    (3, "ValidNameChainingWhitespaceTest3", "", true),
    (3, "ValidNameChainingCapitalizationTest5", "", true),
    (3, "ValidRFC3280MandatoryAttributeTypesTest7", "", true),
    (3, "ValidUTF8StringEncodedNamesTest9", "", true),
    (3, "ValidUTF8StringCaseInsensitiveMatchTest11", "", true),
    (4, "InvalidMissingCRLTest1", "", false),
    (4, "InvalidRevokedEETest3", "", false),
    (4, "InvalidBadCRLIssuerNameTest5", "", false),
    (4, "ValidTwoCRLsTest7", "", true),
    (4, "InvalidUnknownCRLExtensionTest9", "", false),
    (4, "InvalidOldCRLnextUpdateTest11", "", false),
    (4, "ValidGeneralizedTimeCRLnextUpdateTest13", "", true),
    (4, "InvalidNegativeSerialNumberTest15", "", false),
    (4, "ValidLongSerialNumberTest17", "", true),
    (4, "ValidSeparateCertificateandCRLKeysTest19", "", true),
    (4, "InvalidSeparateCertificateandCRLKeysTest21", "", false),
    (5, "ValidBasicSelfIssuedOldWithNewTest1", "", true),
    (5, "ValidBasicSelfIssuedNewWithOldTest3", "", true),
    (5, "InvalidBasicSelfIssuedNewWithOldTest5", "", false),
    (5, "InvalidBasicSelfIssuedCRLSigningKeyTest7", "", false),
    (6, "InvalidMissingbasicConstraintsTest1", "", false),
    (6, "InvalidcAFalseTest3", "", false),
    (6, "InvalidpathLenConstraintTest5", "", false),
    (6, "ValidpathLenConstraintTest7", "", true),
    (6, "InvalidpathLenConstraintTest9", "", false),
    (6, "InvalidpathLenConstraintTest11", "", false),
    (6, "ValidpathLenConstraintTest13", "", true),
    (6, "ValidSelfIssuedpathLenConstraintTest15", "", true),
    (6, "ValidSelfIssuedpathLenConstraintTest17", "", true),
    (7, "InvalidkeyUsageCriticalkeyCertSignFalseTest1", "", false),
    (7, "ValidkeyUsageNotCriticalTest3", "", true),
    (7, "InvalidkeyUsageNotCriticalcRLSignFalseTest5", "", false),
    (8, "ValidCertificatePathTest1", "explicit", true),
    (8, "ValidCertificatePathTest1", "explicit 1", true),
    (8, "ValidCertificatePathTest1", "explicit 2", false),
    (8, "ValidCertificatePathTest1", "explicit 1 2", true),
    (8, "DifferentPoliciesTest3", "", true),
    (8, "DifferentPoliciesTest3", "explicit", false),
    (8, "DifferentPoliciesTest3", "explicit 1 2", false),
    (8, "DifferentPoliciesTest5", "", false),
    (8, "DifferentPoliciesTest7", "", false),
    (8, "DifferentPoliciesTest9", "", false),
    (8, "AllCertificatesanyPolicyTest11", "", true),
    (8, "AllCertificatesanyPolicyTest11", "1", true),
    (8, "AllCertificatesSamePoliciesTest13", "1", true),
    (8, "AllCertificatesSamePoliciesTest13", "2", true),
    (8, "AllCertificatesSamePoliciesTest13", "3", true),
    (8, "UserNoticeQualifierTest15", "", true),
    (8, "UserNoticeQualifierTest17", "", true),
    (8, "UserNoticeQualifierTest19", "", true),
    (9, "ValidrequireExplicitPolicyTest1", "", true),
    (9, "InvalidrequireExplicitPolicyTest3", "", false),
    (9, "InvalidrequireExplicitPolicyTest5", "", false),
    (9, "InvalidSelfIssuedrequireExplicitPolicyTest7", "", false),
    (10, "ValidPolicyMappingTest1", "1", true),
    (10, "ValidPolicyMappingTest1", "2", false),
    (10, "ValidPolicyMappingTest1", "no-mapping", false),
    (10, "ValidPolicyMappingTest3", "1", false),
    (10, "ValidPolicyMappingTest3", "2", true),
    (10, "ValidPolicyMappingTest5", "1", true),
    (10, "ValidPolicyMappingTest5", "6", false),
    (10, "InvalidMappingFromanyPolicyTest7", "", false),
    (10, "ValidPolicyMappingTest9", "", true),
    (10, "ValidPolicyMappingTest11", "", true),
    (10, "ValidPolicyMappingTest13", "", true),
    (11, "InvalidinhibitPolicyMappingTest1", "", false),
    (11, "InvalidinhibitPolicyMappingTest3", "", false),
    (11, "InvalidinhibitPolicyMappingTest5", "", false),
    (11, "ValidSelfIssuedinhibitPolicyMappingTest7", "", true),
    (11, "InvalidSelfIssuedinhibitPolicyMappingTest9", "", false),
    (11, "InvalidSelfIssuedinhibitPolicyMappingTest11", "", false),
    (12, "InvalidinhibitAnyPolicyTest1", "", false),
    (12, "inhibitAnyPolicyTest3", "", true),
    (12, "inhibitAnyPolicyTest3", "no-any", false),
    (12, "InvalidinhibitAnyPolicyTest5", "", false),
    (12, "ValidSelfIssuedinhibitAnyPolicyTest7", "", true),
    (12, "ValidSelfIssuedinhibitAnyPolicyTest9", "", true),
    (13, "ValidDNnameConstraintsTest1", "", true),
    (13, "InvalidDNnameConstraintsTest3", "", false),
    (13, "ValidDNnameConstraintsTest5", "", true),
    (13, "InvalidDNnameConstraintsTest7", "", false),
    (13, "InvalidDNnameConstraintsTest9", "", false),
    (13, "ValidDNnameConstraintsTest11", "", true),
    (13, "InvalidDNnameConstraintsTest13", "", false),
    (13, "InvalidDNnameConstraintsTest15", "", false),
    (13, "InvalidDNnameConstraintsTest17", "", false),
    (13, "ValidDNnameConstraintsTest19", "", true),
    (13, "ValidRFC822nameConstraintsTest21", "", true),
    (13, "ValidRFC822nameConstraintsTest23", "", true),
    (13, "ValidRFC822nameConstraintsTest25", "", true),
    (13, "ValidDNandRFC822nameConstraintsTest27", "", true),
    (13, "InvalidDNandRFC822nameConstraintsTest29", "", false),
    (13, "InvalidDNSnameConstraintsTest31", "", false),
    (13, "InvalidDNSnameConstraintsTest33", "", false),
    (13, "InvalidURInameConstraintsTest35", "", false),
    (13, "InvalidURInameConstraintsTest37", "", false),
    (14, "ValiddistributionPointTest1", "", true),
    (14, "InvaliddistributionPointTest3", "", false),
    (14, "ValiddistributionPointTest5", "", true),
    (14, "ValiddistributionPointTest7", "", true),
    (14, "InvaliddistributionPointTest9", "", false),
    (14, "InvalidonlyContainsUserCertsTest11", "", false),
    (14, "ValidonlyContainsCACertsTest13", "", true),
    (14, "InvalidonlySomeReasonsTest15", "", false),
    (14, "InvalidonlySomeReasonsTest17", "", false),
    (14, "ValidonlySomeReasonsTest19", "", true),
    (14, "InvalidonlySomeReasonsTest21", "", false),
    (14, "InvalidIDPwithindirectCRLTest23", "", false),
    (14, "ValidIDPwithindirectCRLTest25", "", true),
    (14, "InvalidcRLIssuerTest27", "", false),
    (14, "ValidcRLIssuerTest29", "", true),
    (14, "InvalidcRLIssuerTest31", "", false),
    (14, "ValidcRLIssuerTest33", "", true),
    (14, "InvalidcRLIssuerTest35", "", false),
    (15, "InvaliddeltaCRLIndicatorNoBaseTest1", "", false),
    (15, "InvaliddeltaCRLTest3", "", false),
    (15, "ValiddeltaCRLTest5", "", true),
    (15, "ValiddeltaCRLTest7", "", true),
    (15, "InvaliddeltaCRLTest9", "", false),
    (16, "ValidUnknownNotCriticalCertificateExtensionTest1", "", true),
];

/// Tests that say nothing about us, and why.
const NOT_APPLICABLE: &[(u8, &str, &str)] = &[(
    1,
    "ValidDSAParameterInheritanceTest5",
    "DSA: FIPS 186-5 has withdrawn it, and the library of our cryptography has none",
)];

fn corpus() -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/pki/pkits");
    if !path.exists() {
        println!("CORPUS MISSING: pki/pkits is not beside the project; its cases do not run");
        return None;
    }
    Some(path)
}

/// Everything there is: authorities' certificates, all lists, and end entities' certificates by name.
struct Suite {
    anchors: Pool,
    others: Pool,
    lists: Vec<Crl>,
    end_entities: BTreeMap<String, Certificate>,
}

impl Suite {
    fn read(folder: PathBuf) -> Self {
        let (mut anchors, mut others, mut end_entities) = (Pool::default(), Pool::default(), BTreeMap::new());
        for entry in fs::read_dir(folder.join("certs")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let certificate = Certificate::read(&fs::read(&path).unwrap()).expect(&name);
            match name.strip_suffix("EE") {
                Some(test) => assert!(end_entities.insert(test.to_owned(), certificate).is_none()),
                None if name == "TrustAnchorRootCertificate" => anchors.add(certificate),
                None => others.add(certificate),
            }
        }
        let lists = fs::read_dir(folder.join("crls")).unwrap();
        let lists = lists.map(|entry| Crl::read(&fs::read(entry.unwrap().path()).unwrap()).unwrap()).collect();
        Self { anchors, others, lists, end_entities }
    }

    fn judge(&self, test: &str, demand: &str) -> Result<(), PathFault> {
        let sources = Sources { anchors: &self.anchors, others: &self.others };
        let check =
            Check { at: AT, purpose: Purpose::Sign, strictness: Strictness::Strict, policies: demand_of(demand) };
        let evidence =
            Evidence { lists: &self.lists, answers: &[], sources, at: AT, grace: 0, strictness: Strictness::Strict };
        let certificate = self.end_entities.get(test).unwrap_or_else(|| panic!("{test} is not in the corpus"));
        sources.find(certificate, &check, &mut |path| evidence.check(path)).map(|_| ())
    }
}

fn demand_of(words: &str) -> PolicyDemand {
    let mut demand = PolicyDemand::default();
    for word in words.split_whitespace() {
        match word {
            "explicit" => demand.explicit = true,
            "no-mapping" => demand.inhibit_mapping = true,
            "no-any" => demand.inhibit_any = true,
            number => {
                let policy = ObjectIdentifier::new(&format!("2.16.840.1.101.3.2.1.48.{number}")).unwrap();
                demand.acceptable.get_or_insert_default().push(policy.as_bytes().to_vec());
            }
        }
    }
    demand
}

#[test]
fn the_path_validation_suite_holds() {
    let Some(folder) = corpus() else { return };
    let suite = Suite::read(folder);
    let mut counts: BTreeMap<u8, (usize, usize)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (section, test, demand, expected) in TESTS {
        let judged = suite.judge(test, demand);
        let reason = judged.as_ref().map_or_else(PathFault::to_string, |()| "valid".to_owned());
        println!("4.{section} {test} [{demand}]: {reason}");
        let (tried, held) = counts.entry(*section).or_default();
        *tried += 1;
        if judged.is_ok() == *expected {
            *held += 1;
        } else {
            wrong.push(format!("4.{section} {test} [{demand}]: {reason}"));
        }
    }
    for (section, (tried, held)) in &counts {
        println!("PKITS 4.{section}: {tried} tried, {held} held");
    }
    for (section, test, reason) in NOT_APPLICABLE {
        println!("PKITS 4.{section} {test}: does not apply: {reason}");
        let fault = suite.judge(test, "").unwrap_err();
        assert_eq!(fault.flaw, Flaw::Signature(SignatureFault::Unsupported), "{test}");
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    // None is skipped in silence.
    for test in suite.end_entities.keys() {
        let is_listed = TESTS.iter().any(|(_, listed, ..)| listed == test)
            || NOT_APPLICABLE.iter().any(|(_, listed, _)| listed == test);
        assert!(is_listed, "{test} is in the corpus and in no table");
    }
}
