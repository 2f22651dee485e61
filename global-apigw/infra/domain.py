"""The API's own domain name: its certificate, the mapping to the API, and the records of the name."""

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from infra.registry import Domain

# HTTP APIs take no other policy: docs.aws.amazon.com/apigateway/latest/developerguide/http-api-ciphers.html
SETTINGS = {"endpoint_type": "REGIONAL", "security_policy": "TLS_1_2", "ip_address_type": "dualstack"}
Configuration = apigateway.CfnDomainName.DomainNameConfigurationProperty
MutualTls = apigateway.CfnDomainName.MutualTlsAuthenticationProperty


def add_domain(scope: Construct, domain: Domain, api: apigateway.CfnApi, stage: apigateway.CfnStage) -> None:
    """Clients call `stage` of `api` by the domain's name. Without a hosted zone, an output has the record to create."""
    configurations = [Configuration(certificate_arn=domain.certificate, **SETTINGS)]
    name = apigateway.CfnDomainName(scope, "Domain", domain_name=domain.name, domain_name_configurations=configurations)
    if domain.truststore:
        # The object's key is the hash of its content: another truststore is another URI, which CloudFormation sees.
        uri = s3_assets.Asset(scope, "Truststore", path=domain.truststore).s3_object_url
        name.mutual_tls_authentication = MutualTls(truststore_uri=uri)
    mapping = apigateway.CfnApiMapping(scope, "DomainMapping", api_id=api.ref, domain_name=name.ref, stage=stage.ref)
    target, zone = name.attr_regional_domain_name, name.attr_regional_hosted_zone_id
    if not domain.hosted_zone:
        CfnOutput(Stack.of(scope), "DomainRecord", value=f"{domain.name} CNAME {target}")
        return
    alias = route53.CfnRecordSet.AliasTargetProperty(dns_name=target, hosted_zone_id=zone)
    for type in ("A", "AAAA"):
        own = {"hosted_zone_id": domain.hosted_zone, "name": domain.name, "type": type}
        record = route53.CfnRecordSet(scope, f"Domain{type}", alias_target=alias, **own)
        # Without a mapping, API Gateway refuses the clients that find the name.
        record.add_resource_dependency(mapping)
