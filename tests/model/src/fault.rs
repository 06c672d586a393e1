/// A mistake that the protocol must not make. With one of them in it the model breaks a promise,
/// which shows that the check of that promise can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A replica's memory decides whether there is stock, and issuance's database does not.
    SpendsWithoutTheFence,
    /// Quota trusts a count that was read from a lease without sealing it.
    CreditsWithoutTheSeal,
    /// Sealing a lease that was never installed leaves nothing behind.
    LeavesNoTombstone,
    /// Sealing a lease that was never installed is not answered.
    AnswersNoSealOfTheUnknown,
    /// Quota credits a lease each time it is told what was used.
    CreditsEveryTime,
    /// Quota acknowledges a halt once the seals are sent.
    AcknowledgesBeforeTheSeals,
    /// Quota grants leases of a halted campaign.
    GrantsWhileHalted,
}
