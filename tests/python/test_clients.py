"""Chatbot backends are written in other languages: what they are told must reach them through their own library's retries and limits."""

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from google.protobuf.descriptor import FieldDescriptor
from google.rpc import error_details_pb2, status_pb2

import local_suite
from local_suite import CHATBOT, MAX_METADATA_BYTES, SERVICES, Told, contract

# What a refusal takes at most when nothing is wrong with the machine; tried a few times, since others use it as well.
AT_ONCE_SECONDS = 0.1
TRIES = 5
FAR_SECONDS = 3600
# Of campaign 1, under key 1, with a checksum that is nobody's.
NO_COUPON = "000020J000000000"


@pytest.fixture(scope="session")
def suite(tmp_path_factory):
    yield from local_suite.run(tmp_path_factory)


@pytest.fixture(scope="session")
def staff(suite):
    """Campaigns and stores in every state that refuses somebody."""
    quota, stores = contract("quota", "campaign_service"), contract("order_intake", "store_service")
    from tidegate.type.v1 import campaign_pb2

    def campaign(name, stock, opens_in=0, open_for=FAR_SECONDS):
        made = quota.CreateCampaignRequest(campaign_id=name, currency_code="CNY", limit_per_shopper=1)
        for tier in ("large", "small"):
            made.tiers.add(tier_id=tier, face_value_minor_units=2500, stock=stock)
        now = int(time.time())
        made.opens_at.FromSeconds(now + opens_in)
        made.closes_at.FromSeconds(now + opens_in + open_for)
        made.coupon_validity.FromSeconds(FAR_SECONDS)
        answer = suite.call("quota-0", "CampaignService", "CreateCampaign", made)
        assert not isinstance(answer, Told), answer

    def control(name, resume_in, **wanted):
        change = quota.SetCampaignControlRequest(campaign_id=name, reason="tried out", **wanted)
        change.resume_at.FromSeconds(int(time.time()) + resume_in)
        answer = suite.call("quota-0", "CampaignService", "SetCampaignControl", change, timeout=10)
        assert not isinstance(answer, Told), answer

    campaign("open", 100)
    campaign("later", 100, opens_in=FAR_SECONDS)
    campaign("gone", 1)
    campaign("halted", 100)
    campaign("over", 100, open_for=3)
    control("halted", 945, issuance=campaign_pb2.ISSUANCE_CONTROL_HALTED, redemption=campaign_pb2.REDEMPTION_CONTROL_HALTED)
    changed = stores.UpsertStoresRequest()
    for name, orders in (("wide", 1000), ("busy", 1), ("closed", 0)):
        changed.stores.add(store_id=name, display_name=name, area="centre", slot_minutes=60, orders_per_slot=orders)
    assert not isinstance(suite.call("order-intake-0", "StoreService", "UpsertStores", changed), Told)
    for shopper in ("ann", "bob"):
        coupon(suite, shopper)
    for number, tier in enumerate(("large", "small")):
        eventually(lambda: claim(suite, f"last-{number}", "gone", tier=tier), lambda answer: not isinstance(answer, Told))
    eventually(lambda: claim(suite, "late", "gone"), lambda told: is_told(told, "BUDGET_EXHAUSTED"))
    eventually(lambda: claim(suite, "late", "halted"), lambda told: is_told(told, "ISSUANCE_HALTED"))
    eventually(lambda: claim(suite, f"late-{time.monotonic()}", "over"), lambda told: is_told(told, "CAMPAIGN_CLOSED"))
    booked = order(suite, "ann", store_id="busy", coupon_code=coupon(suite, "ann"))
    assert not isinstance(booked, Told), booked
    return suite


def eventually(attempt, is_right, seconds=15):
    until = time.monotonic() + seconds
    while True:
        answer = attempt()
        if is_right(answer):
            return answer
        assert time.monotonic() < until, answer
        time.sleep(0.2)


def is_told(told, reason):
    return isinstance(told, Told) and told.reason == reason


def claim(suite, shopper, campaign="open", request="r-1", tier="", **how):
    message = contract("gateway", "claim_service").ClaimCouponRequest(
        campaign_id=campaign, shopper_id=shopper, request_id=request, tier_id=tier
    )
    return suite.call("gateway-0", "ClaimService", "ClaimCoupon", message, **how)


def coupon(suite, shopper):
    """The code of a shopper's coupon."""
    message = contract("gateway", "claim_service").ClaimCouponResponse

    def attempt():
        answer = claim(suite, shopper)
        return answer if isinstance(answer, Told) else message.FromString(answer).issued.coupon.code

    return eventually(attempt, lambda code: isinstance(code, str) and code)


def order(suite, shopper, lines=1, accept_seconds=20, **fields):
    message = contract("gateway", "order_service").PlaceOrderRequest(shopper_id=shopper, request_id="order-1", suggest_stores=True)
    for _ in range(lines):
        line = message.lines.add(sku="milk-tea" if lines == 1 else "", quantity=1 if lines == 1 else 0)
        line.unit_price.currency_code, line.unit_price.minor_units = ("CNY", 2800) if lines == 1 else ("?", -1)
    message.latest_acceptable_at.FromSeconds(int(time.time()) + accept_seconds)
    for name, value in {"store_id": "wide", "coupon_code": "0123456789ABCDEF", **fields}.items():
        setattr(message, name, value)
    return suite.call("gateway-0", "OrderService", "PlaceOrder", message)


def wallet(suite, shopper, code, **how):
    message = contract("gateway", "wallet_service").GetCouponRequest(shopper_id=shopper, coupon_code=code)
    return suite.call("gateway-0", "WalletService", "GetCoupon", message, **how)


def read_order(suite, shopper):
    message = contract("gateway", "order_service").GetOrderRequest(shopper_id=shopper, order_id="00000000-0000-4000-8000-000000000000")
    return suite.call("gateway-0", "OrderService", "GetOrder", message)


REFUSALS = {
    "bad field": ("INVALID_ARGUMENT", "INVALID_FIELD", lambda suite: claim(suite, "a shopper", "Open")),
    "fifty bad lines": ("INVALID_ARGUMENT", "INVALID_FIELD", lambda suite: order(suite, "bob", lines=50)),
    "garbage": ("INVALID_ARGUMENT", "INVALID_FIELD", lambda suite: suite.call("gateway-0", "ClaimService", "ClaimCoupon", b"\xff" * 20)),
    "no such campaign": ("NOT_FOUND", "CAMPAIGN_NOT_FOUND", lambda suite: claim(suite, "bob", "nothing")),
    "no such coupon": ("NOT_FOUND", "COUPON_NOT_FOUND", lambda suite: wallet(suite, "bob", NO_COUPON)),
    "code of a key that is not there": ("FAILED_PRECONDITION", "COUPON_KEY_MISSING", lambda suite: wallet(suite, "bob", "0123456789ABCDEF")),
    "no such order": ("NOT_FOUND", "ORDER_NOT_FOUND", lambda suite: read_order(suite, "bob")),
    "no such store": ("NOT_FOUND", "STORE_NOT_FOUND", lambda suite: order(suite, "bob", store_id="nowhere", coupon_code=coupon(suite, "bob"))),
    "not open": ("FAILED_PRECONDITION", "CAMPAIGN_NOT_OPEN", lambda suite: claim(suite, "bob", "later")),
    "halted": ("FAILED_PRECONDITION", "ISSUANCE_HALTED", lambda suite: claim(suite, "bob", "halted")),
    "ended": ("FAILED_PRECONDITION", "CAMPAIGN_CLOSED", lambda suite: claim(suite, "bob", "over")),
    "sold out": ("RESOURCE_EXHAUSTED", "BUDGET_EXHAUSTED", lambda suite: claim(suite, "bob", "gone")),
    "over the limit": ("FAILED_PRECONDITION", "SHOPPER_LIMIT_REACHED", lambda suite: claim(suite, "bob", request="r-2")),
    "another claim's request id": ("ALREADY_EXISTS", "REQUEST_ID_CONFLICT", lambda suite: claim(suite, "bob", tier="small")),
    "busy store": ("FAILED_PRECONDITION", "STORE_BUSY", lambda suite: order(suite, "bob", store_id="busy", coupon_code=coupon(suite, "bob"))),
    "closed store": ("FAILED_PRECONDITION", "STORE_CLOSED", lambda suite: order(suite, "bob", store_id="closed", coupon_code=coupon(suite, "bob"))),
    "bad token": ("UNAUTHENTICATED", "UNAUTHENTICATED", lambda suite: claim(suite, "bob", token="garbage")),
    "expired token": ("UNAUTHENTICATED", "UNAUTHENTICATED", lambda suite: claim(suite, "bob", token=suite.token(exp=1))),
    "token of another shopper": ("PERMISSION_DENIED", "PERMISSION_DENIED", lambda suite: claim(suite, "bob", token=suite.token(shopper_id="ann"))),
    "token that may not": ("PERMISSION_DENIED", "PERMISSION_DENIED", lambda suite: claim(suite, "bob", token=suite.token(scope="wallet:read"))),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_the_reason_of_every_refusal_arrives_at_once_with_its_code_and_its_words(staff, name):
    code, reason, refuse = REFUSALS[name]
    fastest = None
    for _ in range(TRIES):
        told = refuse(staff)
        assert isinstance(told, Told), told
        assert (told.code, told.reason) == (code, reason), told
        assert set(told.words) == {"zh-CN", "en"} and all(told.words.values())
        assert told.bytes <= MAX_METADATA_BYTES, told
        # Nothing but UNAVAILABLE is for the library's own retries.
        assert told.pushback == -1, told
        fastest = min(told.seconds, fastest or told.seconds)
        if fastest <= AT_ONCE_SECONDS:
            break
        time.sleep(0.5)
    assert fastest <= AT_ONCE_SECONDS, told


def test_calls_over_a_stream_are_answered_as_others_are(staff):
    calls, claims = contract("gateway", "call_service"), contract("gateway", "claim_service")
    service = "tidegate.gateway.v1.ClaimService"

    def asked(call_id, method, campaign):
        claim = claims.ClaimCouponRequest(campaign_id=campaign, shopper_id="streamer", request_id="r-1")
        return calls.StreamCallsRequest(call_id=call_id, method=f"{service}/{method}", request=claim.SerializeToString(), timeout_ms=5000)

    stream = staff.channel("gateway-0").stream_stream(
        "/tidegate.gateway.v1.CallService/StreamCalls",
        request_serializer=lambda sent: sent.SerializeToString(),
        response_deserializer=calls.StreamCallsResponse.FromString,
    )
    sent = [asked(1, "ClaimCoupon", "open"), asked(2, "ClaimCoupon", "gone"), asked(3, "WatchClaim", "open")]
    answers = stream(iter(sent), timeout=10, metadata=[("authorization", f"Bearer {staff.token()}")])
    told = {answer.call_id: answer for answer in answers}
    assert set(told) == {1, 2, 3}
    coupon = claims.ClaimCouponResponse.FromString(told[1].response).issued.coupon
    assert (told[1].code, len(coupon.code), len(told[1].trace_id)) == (0, 16, 32)
    assert reason_of(told[2].status_details) == "BUDGET_EXHAUSTED" and told[2].retry_pushback_ms == -1
    assert told[3].code == grpc.StatusCode.UNIMPLEMENTED.value[0]


def reason_of(details):
    for packed in status_pb2.Status.FromString(details).details:
        info = error_details_pb2.ErrorInfo()
        if packed.Unpack(info):
            return info.reason
    return None


def test_a_code_is_read_as_people_paste_it(staff):
    code = coupon(staff, "bob")
    wide = "".join(chr(ord(letter) - 0x21 + 0xFF01) for letter in code)
    for typed in (code.lower(), wide, f"\ufeff{code[:8]}\u3000\u2014{code[8:]}\u200b\t"):
        answer = wallet(staff, "bob", typed)
        read = contract("gateway", "wallet_service").GetCouponResponse
        assert not isinstance(answer, Told) and read.FromString(answer).coupon.code == code, typed


def test_a_long_wait_is_told_in_full_and_slept_through_by_nobody(staff):
    halted, later = claim(staff, "bob", "halted"), claim(staff, "bob", "later")
    busy = order(staff, "bob", store_id="busy", coupon_code=coupon(staff, "bob"))
    assert 800 < halted.retry_seconds <= 945 and "resume_at" in halted.facts
    assert FAR_SECONDS - 120 < later.retry_seconds <= FAR_SECONDS and "opens_at" in later.facts
    assert 0 < busy.retry_seconds <= FAR_SECONDS and "next_slot_at" in busy.facts


def test_bad_fields_that_do_not_fit_are_counted(staff):
    told = order(staff, "bob", lines=50)
    named = len(told.details["BadRequest"].field_violations)
    assert named >= 10
    assert named + int(told.facts["violations_left_out"]) == 150
    assert " more." in told.words["en"] and "150" in told.words["zh-CN"]


def test_an_overload_is_retried_as_the_answer_says_and_its_reason_is_there_before_the_deadline(staff):
    timeout = 5
    with ThreadPoolExecutor(40) as crowd:
        answers = list(crowd.map(lambda _: claim(staff, "storm", timeout=timeout), range(300)))
    refused = [told for told in answers if isinstance(told, Told)]
    assert len(refused) > 20, "nobody was asked to come back"
    # Forty threads of one interpreter on a busy machine: a call that waits for its processor may miss its own deadline.
    heard = [told for told in refused if told.code != "DEADLINE_EXCEEDED"]
    assert len(heard) >= len(refused) * 0.95, f"only {len(heard)} of {len(refused)} heard a reason"
    for told in heard:
        assert (told.code, told.reason) == ("UNAVAILABLE", "OVERLOADED"), told
        assert told.seconds < timeout and 0 < told.retry_seconds <= 5 and told.pushback <= 5000, told


def test_a_retry_that_comes_too_late_does_not_keep_the_reason_from_a_caller_in_a_hurry(staff):
    for _ in range(100):
        # Shorter than any wait that a shopper is told who asks without end.
        told = claim(staff, "hurry", timeout=0.06)
        if isinstance(told, Told) and told.reason == "OVERLOADED":
            break
    assert told.reason == "OVERLOADED" and told.pushback == -1, told


def hostile(descriptor, depth=4):
    """A message whose every field is out of its bounds."""
    from google.protobuf import message_factory

    message = message_factory.GetMessageClass(descriptor)()
    for field in descriptor.fields:
        is_many = field.is_repeated
        if field.message_type is not None:
            if field.message_type.GetOptions().map_entry or depth == 0:
                continue
            worst = hostile(field.message_type, depth - 1)
            if is_many:
                getattr(message, field.name).extend([worst] * (60 if depth == 4 else 3))
            else:
                getattr(message, field.name).CopyFrom(worst)
            continue
        worst = {
            FieldDescriptor.CPPTYPE_STRING: '"\u5976 ' * 200,
            FieldDescriptor.CPPTYPE_BOOL: True,
            FieldDescriptor.CPPTYPE_DOUBLE: float("nan"),
            FieldDescriptor.CPPTYPE_FLOAT: float("nan"),
            FieldDescriptor.CPPTYPE_ENUM: 99,
        }.get(field.cpp_type, 2**31 - 1)
        if field.type == FieldDescriptor.TYPE_BYTES:
            worst = b"\xff" * 300
        if is_many:
            getattr(message, field.name).extend([worst] * 60)
        else:
            setattr(message, field.name, worst)
    return message


def methods():
    for service, files in SERVICES.items():
        for file in files:
            for described in contract(service, file).DESCRIPTOR.services_by_name.values():
                for method in described.methods:
                    yield f"{service.replace('_', '-')}-0", described.name, method


def test_whatever_any_call_is_sent_its_refusal_is_small_and_names_its_reason(suite):
    refused = 0
    for replica, service, method in methods():
        for sent in (b"\xff" * 20, b"", hostile(method.input_type)):
            told = suite.call(replica, service, method.name, sent, timeout=1)
            if not isinstance(told, Told) or told.code == "DEADLINE_EXCEEDED" and told.reason is None:
                # A stream that has nothing to tell.
                continue
            refused += 1
            # grpcio itself would say RESOURCE_EXHAUSTED of metadata that is too much for it.
            assert told.reason is not None, (service, method.name, told)
            assert told.bytes <= MAX_METADATA_BYTES, (service, method.name, told)
            assert told.code == "UNAVAILABLE" or told.pushback == -1, (service, method.name, told)
    assert refused > 80, refused


def test_a_token_that_pyjwt_makes_opens_the_door_and_one_of_another_key_does_not(staff):
    assert not isinstance(claim(staff, "ann", token=staff.token(CHATBOT)), Told)
    other = ed25519.Ed25519PrivateKey.generate()
    forged = jwt.encode(jwt.decode(staff.token(), options={"verify_signature": False}), other, algorithm="EdDSA", headers={"kid": staff.key_id})
    assert claim(staff, "ann", token=forged).reason == "UNAUTHENTICATED"


def test_common_tools_read_every_private_key(suite):
    keys = sorted(suite.credentials.glob("*.key"))
    assert len(keys) == 7
    for file in keys:
        key = load_pem_private_key(file.read_bytes(), None)
        assert isinstance(key, ed25519.Ed25519PrivateKey if file.name == "token.key" else ec.EllipticCurvePrivateKey), file
        read = subprocess.run(["openssl", "pkey", "-noout", "-in", file], capture_output=True, text=True, check=False)
        assert read.returncode == 0, f"{file}: {read.stderr}"
