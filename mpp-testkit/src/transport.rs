//! What every codec must do: carry each message both ways without changing what it means.

use mpp_core::{
    Challenge, Credential, Receipt,
    problem::{ProblemType, Reason, Rejection},
    transport::{Answer, Refusal, Transport},
};

/// Messages to send through a codec: challenges that differ in every optional member, and a receipt.
#[derive(Debug)]
pub struct Messages {
    /// At least two challenges, in the order a server would offer them.
    pub challenges: Vec<Challenge>,
    /// A credential that answers one of them.
    pub credential: Credential,
    /// A receipt with members of its own.
    pub receipt: Receipt,
}

/// Sends every message through a codec and back.
///
/// `request` makes a plain request, `served` a plain success.
///
/// # Panics
/// Where a message comes back changed; the message says which.
pub fn round_trips<T: Transport>(
    codec: &T,
    request: impl Fn() -> T::Request,
    served: impl Fn() -> T::Response,
    messages: &Messages,
) {
    let plain = codec.read_call(&request());
    assert!(matches!(plain.credential, Ok(None)), "a plain request seems to carry a credential");

    let mut paying = request();
    codec.put_credential(&mut paying, &messages.credential).expect("the credential can be carried");
    let call = codec.read_call(&paying);
    let read =
        call.credential.expect("the credential can be read").expect("the credential is there");
    assert_eq!(read.challenge, messages.credential.challenge, "a challenge was echoed differently");
    assert_eq!(read.source, messages.credential.source, "a source came back different");
    assert_eq!(
        read.fingerprint(),
        messages.credential.fingerprint(),
        "a payload came back different"
    );
    assert_eq!(call.at, plain.at, "a credential changed what is asked for");

    for kind in [
        ProblemType::PAYMENT_REQUIRED,
        ProblemType::VERIFICATION_FAILED,
        ProblemType::INVALID_CHALLENGE,
    ] {
        let rejection = Rejection::new(kind, Reason::BAD_PROOF, "for a person");
        let refusal = Refusal { rejection, challenges: messages.challenges.clone() };
        match codec.read_answer(&codec.write_refusal(&request(), &refusal)) {
            Answer::Required { challenges, .. } => {
                assert_eq!(challenges, messages.challenges, "challenges changed on the way")
            }
            other => panic!("a refusal with challenges was heard as {other:?}"),
        }
    }
    for quiet in
        [ProblemType::ALREADY_CREDITED, ProblemType::INTERNAL, ProblemType::OUTCOME_UNKNOWN]
    {
        let refusal = Refusal::from(Rejection::new(quiet, Reason::OUTCOME_UNKNOWN, "for a person"));
        let answer = codec.read_answer(&codec.write_refusal(&request(), &refusal));
        assert!(
            matches!(answer, Answer::Troubled { .. }),
            "a refusal that invites nobody was heard as {answer:?}"
        );
    }

    assert!(
        matches!(codec.read_answer(&served()), Answer::Served(None)),
        "a plain success is not heard as one"
    );
    let mut paid = served();
    codec.put_receipt(&mut paid, &messages.receipt);
    match codec.read_answer(&paid) {
        Answer::Served(Some(receipt)) => {
            assert_eq!(receipt, messages.receipt, "a receipt changed on the way")
        }
        other => panic!("a paid success was heard as {other:?}"),
    }
    match codec.read_answer(&codec.acknowledge(&request(), &messages.receipt)) {
        Answer::Acknowledged(receipt) => {
            assert_eq!(receipt, messages.receipt, "an acknowledgement changed its receipt")
        }
        other => panic!("an acknowledgement was heard as {other:?}"),
    }
}
