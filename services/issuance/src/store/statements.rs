use std::borrow::Cow;

use sqlx::PgConnection;

/// The statements that change coupons. A deployment runs those of `queries/`; a build that is to prove the checker may run others.
#[derive(Clone)]
pub struct Statements {
    /// Issues coupons and spends leases.
    pub issue: Cow<'static, str>,
    pub redeem: Cow<'static, str>,
    pub release: Cow<'static, str>,
    pub revoke: Cow<'static, str>,
    /// What is set on the connection before each commit.
    pub setting: Option<&'static str>,
}

impl Default for Statements {
    fn default() -> Self {
        Self {
            issue: include_str!("../../queries/issue_coupons.sql").into(),
            redeem: include_str!("../../queries/redeem_coupons.sql").into(),
            release: include_str!("../../queries/release_coupons.sql").into(),
            revoke: include_str!("../../queries/revoke_coupons.sql").into(),
            setting: None,
        }
    }
}

impl Statements {
    /// Makes a connection ready for a commit.
    pub async fn prepare(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        match self.setting {
            Some(setting) => sqlx::query(setting).execute(connection).await.map(|_| ()),
            None => Ok(()),
        }
    }
}
