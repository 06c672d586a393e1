use std::io::Write as _;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::*;

const ISSUER: &str = "https://issuer.test";
const AUDIENCE: &str = "tidegate";

struct Issuer {
    key: EncodingKey,
    verifier: TokenVerifier,
    _file: tempfile::NamedTempFile,
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

fn issuer() -> Issuer {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8v1(&aws_lc_rs::rand::SystemRandom::new()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
    let x = BASE64_URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let jwk =
        json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "k1", "x": x});
    write!(file, "{}", json!({"keys": [jwk]})).unwrap();
    let settings = TokenSettings {
        jwks_file: file.path().into(),
        issuer: ISSUER.into(),
        audience: AUDIENCE.into(),
    };
    Issuer {
        key: EncodingKey::from_ed_der(pkcs8.as_ref()),
        verifier: TokenVerifier::load(settings).unwrap(),
        _file: file,
    }
}

impl Issuer {
    fn token(&self, changes: Value) -> String {
        let mut claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "bot", "exp": now() + 600, "scope": "claims:write wallet:read"});
        claims
            .as_object_mut()
            .unwrap()
            .extend(changes.as_object().unwrap().clone());
        let header = Header {
            kid: Some("k1".into()),
            ..Header::new(Algorithm::EdDSA)
        };
        format!("Bearer {}", encode(&header, &claims, &self.key).unwrap())
    }

    fn verify(&self, authorization: &str) -> Result<Arc<Caller>, InvalidToken> {
        self.verifier.verify(Some(authorization), SystemTime::now())
    }
}

#[test]
fn a_good_token_speaks_for_its_subject_within_its_scopes() {
    let issuer = issuer();
    let caller = issuer.verify(&issuer.token(json!({}))).unwrap();
    assert_eq!(caller.subject.as_str(), "bot");
    assert!(caller.has(Scope::ClaimsWrite) && caller.has(Scope::WalletRead));
    assert!(!caller.has(Scope::OrdersWrite));
}

#[test]
fn a_token_bound_to_a_shopper_speaks_for_no_other() {
    let issuer = issuer();
    let caller = issuer
        .verify(&issuer.token(json!({"shopper_id": "alice"})))
        .unwrap();
    assert!(caller.may_act_for(&ShopperId::parse("alice").unwrap()));
    assert!(!caller.may_act_for(&ShopperId::parse("bob").unwrap()));
}

#[test]
fn expired_foreign_and_broken_tokens_are_told_apart() {
    let issuer = issuer();
    assert_eq!(
        issuer.verify(&issuer.token(json!({"exp": now() - 100}))),
        Err(InvalidToken::Expired)
    );
    assert_eq!(
        issuer.verify(&issuer.token(json!({"nbf": now() + 600}))),
        Err(InvalidToken::Expired)
    );
    assert_eq!(
        issuer.verify(&issuer.token(json!({"aud": "other"}))),
        Err(InvalidToken::WrongAudience)
    );
    assert_eq!(
        issuer.verify(&issuer.token(json!({"iss": "other"}))),
        Err(InvalidToken::WrongAudience)
    );
    assert_eq!(issuer.verify("Basic abc"), Err(InvalidToken::Missing));
    assert_eq!(issuer.verify("Bearer abc"), Err(InvalidToken::Malformed));
    assert_eq!(
        issuer.verify(&format!("Bearer {}", "a".repeat(5_000))),
        Err(InvalidToken::Malformed)
    );
    assert_eq!(
        issuer.verifier.verify(None, SystemTime::now()),
        Err(InvalidToken::Missing)
    );
}

#[test]
fn a_token_of_another_key_is_refused_even_under_a_known_key_id() {
    let (ours, other) = (issuer(), issuer());
    assert_eq!(
        ours.verify(&other.token(json!({}))),
        Err(InvalidToken::Malformed)
    );
}

#[test]
fn a_remembered_token_still_expires() {
    let issuer = issuer();
    let token = issuer.token(json!({}));
    assert!(issuer.verify(&token).is_ok());
    let later = SystemTime::now() + Duration::from_secs(700);
    assert_eq!(
        issuer.verifier.verify(Some(&token), later),
        Err(InvalidToken::Expired)
    );
}

#[test]
fn a_refused_token_is_not_verified_again_until_the_keys_change() {
    let (ours, other) = (issuer(), issuer());
    let token = other.token(json!({}));
    assert_eq!(ours.verify(&token), Err(InvalidToken::Malformed));
    ours.verifier
        .keys
        .store(Arc::clone(&other.verifier.keys.load()));
    assert_eq!(ours.verify(&token), Err(InvalidToken::Malformed));
    ours.verifier.refused.invalidate_all();
    assert!(ours.verify(&token).is_ok());
}
