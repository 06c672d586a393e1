//! How a person calls the gateway with ordinary tools.

use std::path::Path;

use tidegate_local::{stack::Stack, way_in};

/// A claim with Buf's curl, which asks the gateway's reflection for the contract, and the same in Python
/// with grpcio, which needs no contract for a few text fields. The token may claim.
pub fn claims(address: &str, ca_file: &Path, token: &str, campaign: &str) -> [String; 2] {
    let ca = ca_file.display();
    let buf = format!(
        "npx --yes @bufbuild/buf curl --protocol grpc --cacert {ca} \\\n  --header 'authorization: Bearer {token}' \\\n  --data '{{\"campaignId\":\"{campaign}\",\"shopperId\":\"by-hand\",\"requestId\":\"try-1\"}}' \\\n  https://{address}/tidegate.gateway.v1.ClaimService/ClaimCoupon"
    );
    let python = format!(
        r#"python3 -m pip install --quiet grpcio && python3 - <<'END'
import grpc
channel = grpc.secure_channel("{address}", grpc.ssl_channel_credentials(open("{ca}", "rb").read()))
field = lambda number, text: bytes([number << 3 | 2, len(text)]) + text.encode()
claim = channel.unary_unary("/tidegate.gateway.v1.ClaimService/ClaimCoupon")
print(claim(field(1, "{campaign}") + field(2, "by-hand") + field(3, "try-1"), metadata=[("authorization", "Bearer {token}")], timeout=5))
END"#
    );
    [buf, python]
}

/// The first things that staff do: make a campaign, watch it, halt it.
pub fn first_commands(is_current_context: bool) -> String {
    let programs = std::env::current_exe().ok();
    let programs = programs.and_then(|program| Some(program.parent()?.display().to_string()));
    let context = match is_current_context {
        true => String::new(),
        false => format!(" --context {}", way_in::CONTEXT),
    };
    format!(
        "\nMake a campaign, watch it, halt it (deploy/ctl/README.md goes on from here)\n  export PATH=\"{programs}:$PATH\"\n  tidegatectl{context} campaign create --file deploy/ctl/examples/spring-tea.yaml\n  tidegatectl{context} campaign watch spring-tea\n  tidegatectl{context} halt spring-tea --reason 'a first try'\n",
        programs = programs.unwrap_or_default()
    )
}

pub fn endpoints(stack: &Stack) -> String {
    let mut text = String::from(
        "\nEndpoints (gRPC over TLS; admin pages /livez /readyz /metrics over HTTP)\n",
    );
    for replica in stack.replicas() {
        text += &format!(
            "  {:<16}{:<18}admin http://{:<18}log {}\n",
            replica.name(),
            replica.grpc_address(),
            replica.admin_address(),
            replica.log().display()
        );
    }
    text += &format!(
        "  CA {}; staff certificate and key beside it\n",
        stack.credentials().ca_file().display()
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_commands_name_the_address_the_ca_the_token_and_the_campaign() {
        for command in claims("127.0.0.1:7000", Path::new("/data/ca.pem"), "t.o.k", "day") {
            let method = "tidegate.gateway.v1.ClaimService/ClaimCoupon";
            for part in ["127.0.0.1:7000", "/data/ca.pem", "t.o.k", "day", method] {
                assert!(command.contains(part), "{part} is missing in {command}");
            }
        }
    }
}
