package corpus

// How a stack of a template ends, other than with a deployment.
const (
	refused   = "CreateStack is refused"
	rollsBack = "the stack rolls back"
)

// expectation is what a template is given and what becomes of it. {subnet} in a
// parameter stands for a subnet of the account's default VPC, {zone} for its
// zone, {address} and {another} for free addresses in it, {vpc} for the VPC,
// {image} for the public parameter of an image of this machine's kind, {peering}
// for a connection between the default VPC and another one, {table} and {group}
// for the default VPC's main route table and default group.
type expectation struct {
	parameters map[string]string
	ends       string                  // refused or rollsBack; empty for what deploys
	says       string                  // part of the refusal, or of an event's reason
	why        string                  // for everything that does not deploy
	leaves     string                  // why there is something left once the stack is gone
	outputs    map[string]string       // patterns of outputs that AWS's recorded answers tell
	signal     func(*deployment) error // tried until it succeeds, while the stack waits
}

const (
	agents          = "templates/Solutions/AmazonCloudWatchAgent/"
	jinja           = "its {{ }} are holes of another template language, filled before CloudFormation sees it"
	foreign         = "it names an image of AWS by its id"
	absentTemplates = "its nested stacks' templates are in a bucket that is not there"
	absentValue     = "what it refers to is not there"
	noTemplate      = "https://s3.us-east-1.amazonaws.com/corpus-templates/none.yaml"
	early           = "replication and access logs of buckets are not built, and its bucket policies name buckets that they do not wait for"
)

// table has a line for each template that has parameters without defaults, whose
// outputs are known, or that does not deploy.
var table = map[string]expectation{
	"templates/EC2/EC2InstanceWithSecurityGroupSample.yaml":                {parameters: host("Subnets")},
	"templates/EC2/EC2_Instance_With_Ephemeral_Drives.yaml":                {parameters: host("Subnets")},
	"templates/EC2/InstanceWithCfnInit.yaml":                               {ends: rollsBack, says: "failed to create: [Instance]", why: "it wants an image for arm64; on such a machine its user data needs the internet, and signals a failure"},
	agents + "inline/ubuntu.yaml":                                          {parameters: host("SubnetId", "InstanceAMI", "{image}"), signal: signalInstance},
	agents + "inline/centos.yaml":                                          {parameters: host("SubnetId"), ends: rollsBack, says: "' does not exist", why: foreign},
	agents + "inline/redhat.yaml":                                          {parameters: host("SubnetId"), ends: rollsBack, says: "' does not exist", why: foreign},
	agents + "inline/suse.yaml":                                            {parameters: host("SubnetId"), ends: rollsBack, says: "' does not exist", why: foreign},
	agents + "ssm/ubuntu.yaml":                                             {parameters: host("SubnetId", "InstanceAMI", "{image}"), signal: signalInstance},
	agents + "ssm/redhat.yaml":                                             {parameters: host("SubnetId"), ends: rollsBack, says: "' does not exist", why: foreign},
	"templates/Solutions/OperatingSystems/ubuntu20.04_cfn-hup.yaml":        {parameters: host("SubnetId"), ends: rollsBack, says: "'[ami-0149b2da6ceec4bb0]' does not exist", why: foreign},
	"templates/Solutions/TaggingRootVolumesInEC2/Tagging_Root_volume.yaml": {parameters: host("SubnetId", "InstanceAZ", "{zone}", "WindowsAMIID", "{image}", "LinuxAMIID", "{image}")},
	"templates/S3/compliant-bucket.yaml":                                   {parameters: map[string]string{"AppName": "corpus-compliant"}, ends: rollsBack, says: "The following resource(s) failed to create: [", why: early},
	"templates/CloudFormation/StackSets/common-resources-pkg.json":         {ends: rollsBack, says: "The following resource(s) failed to create: [", why: early},
	"templates/Solutions/VPCPeering/templates/VPCPeering-Updates.cfn.yaml": {parameters: map[string]string{
		"NumberOfRouteTables": "1", "NumberOfSecurityGroups": "1", "PeerName": "corpus", "PeerVPCCIDR": "10.99.0.0/16",
		"RouteTableIds": "{table}", "SecurityGroupIds": "{group}", "VPCPeeringConnectionId": "{peering}",
	}},
	"templates/Solutions/VPCPeering/templates/VPCPeering-Requester-Setup.cfn.yaml": {parameters: map[string]string{
		"PeerName": "corpus", "PeerOwnerId": "000000000000", "PeerRoleARN": "arn:aws:iam::000000000000:role/corpus", "PeerVPCID": "vpc-0123456789abcdef0", "VPCID": "{vpc}",
	}, ends: rollsBack, says: "PeerRoleArn", why: "connections to another account's VPC are not built in stacks"},
	"templates/EC2/SingleENIwithMultipleEIPs.yaml": {parameters: map[string]string{"Subnet": "{subnet}"}},
	"templates/VPC/VPC_EC2_Instance_With_Multiple_Static_IPAddresses.yaml": {parameters: map[string]string{
		"KeyName": "corpus", "VpcId": "{vpc}", "SubnetId": "{subnet}", "PrimaryIPAddress": "{address}", "SecondaryIPAddress": "{another}", "LatestAMI": "{image}",
	}},
	"recorded-templates/template33.yaml":                                    {ends: rollsBack, says: "(InvalidVpc.Range)", why: "its VPC has addresses of the internet, which would hide their owners from this host"},
	"templates/CloudFormation/fn-foreach-s3-outputs.yaml":                   {leaves: "its buckets have the policy Retain"},
	"recorded-templates/cfn_macro_languageextensions.yaml":                  {parameters: map[string]string{"QueueList": "a,b,c", "QueueNameParam": "corpus"}},
	"templates/SNS/SNSTopic.yaml":                                           {parameters: map[string]string{"SubscriptionEndPoint": "arn:aws:sqs:us-east-1:000000000000:corpus"}},
	"templates/CloudFormation/StackSets/common-resources-stackset-pkg.json": {ends: rollsBack, says: "You must be the management account or delegated admin account of an organization", why: "its stack set is managed by an organization, which the account has not"},
	"templates/Solutions/VPCPeering/templates/VPCPeering-Requester.main.cfn.yaml": {parameters: map[string]string{
		"NumberOfRouteTables": "1", "NumberOfSecurityGroups": "1", "PeerName": "corpus", "PeerOwnerId": "000000000000", "PeerVPCCIDR": "10.99.0.0/16",
		"PeerRoleARN": "arn:aws:iam::000000000000:role/corpus", "PeerVPCID": "vpc-0123456789abcdef0", "VPCID": "{vpc}", "RouteTableIds": "rtb-0123456789abcdef0", "SecurityGroupIds": "{group}",
		"TemplatesS3BucketName": "corpus-templates", "TemplatesS3BucketRegion": "us-east-1", "TemplatesS3KeyPrefix": "peering/",
	}, ends: rollsBack, says: "The following resource(s) failed to create: [VPCPeeringRequesterSetupStack]", why: absentTemplates},
	"templates/SQS/SQSStandardQueue.yaml": {parameters: map[string]string{"KmsMasterKeyIdForSqs": ""}},

	"recorded-templates/cfn_failed_nested_stack_child.yml":                   {ends: rollsBack, says: "NoSuchBucket", why: "its function's code is in a bucket that is not there"},
	"recorded-templates/cfn_failed_nested_stack_parent.yml":                  {parameters: map[string]string{"TemplateUri": noTemplate}, ends: rollsBack, says: "failed to create: [ChildStack]", why: absentTemplates},
	"recorded-templates/cfn_getatt_ref.yaml":                                 {parameters: map[string]string{"MyParam": "corpus-getatt", "CustomOutputName": "TopicArn"}},
	"recorded-templates/cfn_lambda_event_invoke_config.yml":                  {ends: rollsBack, says: "TracingConfig of mode Active is not built", why: "traces are not built"},
	"recorded-templates/cfn_lambda_logging_config.yaml":                      {parameters: map[string]string{"FunctionName": "corpus-logging"}, ends: rollsBack, says: "is not built", why: "logs of functions as JSON are not built"},
	"recorded-templates/cfn_lambda_with_external_api_paths_in_env_vars.yaml": {parameters: map[string]string{"CustomURL": "https://example.com"}},
	"recorded-templates/cfn_sub_resovling.yaml":                              {parameters: map[string]string{"MyParam": "corpus-sub"}},
	"recorded-templates/conditions/intrinsic-functions-in-conditions.yaml": {parameters: map[string]string{
		"TopicName": "corpus-us-east-1", "TopicPrefix": "corpus", "TopicNameWithSuffix": "corpus-us-east-1-x", "TopicNameSuffix": "x"}},
	"recorded-templates/lambda_function_update.yml":                 {parameters: map[string]string{"FunctionName": "corpus-update"}},
	"recorded-templates/lambda_layer_version.yml":                   {parameters: map[string]string{"LayerBucket": "corpus-layers", "LayerName": "corpus"}, ends: rollsBack, says: "failed to create: [Layer]", why: "its layer is in a bucket that is not there, and for another architecture"},
	"recorded-templates/mappings/mapping-aws-ref-map-key.yaml":      {ends: refused, says: "a key must be a string", why: jinja},
	"recorded-templates/mappings/mapping-ref-map-key.yaml":          {parameters: map[string]string{"MapName": "MyMap", "MapKey": "A", "TopicName": "corpus-ref"}},
	"recorded-templates/mappings/simple-mapping-nesting-depth.yaml": {ends: refused, says: "Fn::FindInMap", why: "its map is deeper than maps may be"},
	"recorded-templates/mappings/simple-mapping.yaml":               {parameters: map[string]string{"TopicName": "corpus-map", "TopicNameSuffixSelector": "A"}},
	"recorded-templates/nested-stack-conditions.yaml":               {parameters: map[string]string{"S3BucketPath": "/corpus-templates/none.yaml", "S3BucketName": "corpus-conditions"}, ends: rollsBack, says: "failed to create: [Bucket]", why: absentTemplates},
	"recorded-templates/nested-stack-outputref/root.yaml":           {parameters: map[string]string{"Sub1TemplateUrl": noTemplate, "Sub2TemplateUrl": noTemplate, "TopicName": "corpus-nested", "RoleName": "corpus-nested"}, ends: rollsBack, says: "failed to create: [Sub1]", why: absentTemplates},
	"recorded-templates/nested-stack-outputref/sub1.yaml":           {parameters: map[string]string{"TopicName": "corpus-sub1"}},
	"recorded-templates/nested_parent.yml":                          {parameters: map[string]string{"ChildStackURL": noTemplate, "BucketName": "corpus-child"}, ends: rollsBack, says: "failed to create: [myStackWithParams]", why: absentTemplates},
	"recorded-templates/resolve_secretsmanager_partial.yaml":        {parameters: map[string]string{"DynamicParameter": "corpus"}, ends: rollsBack, says: "failed to create: [topic69831491]", why: absentValue},
	"recorded-templates/resolve_ssm.yaml":                           {parameters: map[string]string{"DynamicParameter": "corpus-absent", "ParameterName": "corpus-absent"}, ends: rollsBack, says: "Rollback requested by user", why: absentValue},
	"recorded-templates/resolve_ssm_secure.yaml":                    {parameters: map[string]string{"DynamicParameter": "corpus-absent"}, ends: rollsBack, says: "failed to create: [topic69831491]", why: absentValue},
	"recorded-templates/sns_subscription.yml":                       {parameters: map[string]string{"TopicArn": "arn:aws:sns:us-east-1:000000000000:corpus-absent", "QueueArn": "arn:aws:sqs:us-east-1:000000000000:corpus"}, ends: rollsBack, says: "failed to create: [SnsSubscription]", why: "its topic is not there"},
	"recorded-templates/sns_subscription_cross_region.yml":          {parameters: map[string]string{"TopicArn": "arn:aws:sns:us-west-2:000000000000:corpus-absent", "QueueArn": "arn:aws:sqs:us-east-1:000000000000:corpus", "TopicRegion": "us-west-2"}, ends: rollsBack, says: "failed to create: [SnsSubscription]", why: "its topic is not there"},
	"recorded-templates/stack_update_2.yaml":                        {parameters: map[string]string{"Topic1Name": "corpus-1", "Topic2Name": "corpus-2", "Topic3Name": "corpus-3"}},
	"recorded-templates/sub_number_type.yml":                        {parameters: map[string]string{"ResourceNamePrefix": "corpus", "RestLatencyPreemptiveAlarmPeriod": "60", "RestLatencyPreemptiveAlarmThreshold": "5"}, ends: rollsBack, says: "alarm actions of ssm are not built", why: "its alarm makes an item of OpsCenter"},
	"recorded-templates/template7.json":                             {parameters: map[string]string{"LambdaFunctionName": "corpus-seven", "LambdaRoleName": "corpus-seven"}, ends: rollsBack, says: "failed to create: [LambdaExecutionRole]", why: "its role's policy has the Effect ALLOW"},
	"recorded-templates/cfn_condition_update_1.yml":                 {parameters: map[string]string{"OriginalBucketName": "corpus-condition-1"}},
	"recorded-templates/cfn_condition_update_2.yml":                 {parameters: map[string]string{"OriginalBucketName": "corpus-condition-2", "FirstBucket": "corpus-condition-3", "SecondBucket": "corpus-condition-4"}},
	"recorded-templates/cfn_function_export.yml":                    {parameters: map[string]string{"BucketExportName": "corpus-bucket"}},
	"recorded-templates/cfn_intrinsic_functions.yaml":               {ends: refused, says: "a key must be a string", why: jinja},
	"recorded-templates/cfn_number_in_sub.yml":                      {parameters: map[string]string{"ParameterName": "corpus"}},
	"recorded-templates/cfn_parameter_list_type.yaml":               {parameters: map[string]string{"ParamsList": "foo,bar"}},
	"recorded-templates/cfn_waitcondition.yaml": {parameters: map[string]string{"ParameterName": "corpus"}, signal: signalHandle,
		outputs: map[string]string{"WaitConditionRef": "arn:aws:cloudformation:us-east-1:[0-9]{12}:stack/s/[0-9a-f-]{36}/WaitHandle"}},
	"recorded-templates/conditions/conditional-in-conditional.yml":      {parameters: map[string]string{"SelectedRegion": "us-east-1", "Environment": "production"}},
	"recorded-templates/conditions/nested-conditions.yaml":              {parameters: map[string]string{"EnvType": "prod", "BucketName": "corpus-nested"}},
	"recorded-templates/deletion_policy.yaml":                           {parameters: map[string]string{"ParameterValue": "a"}, ends: refused, says: "Every DeletionPolicy member must be a string", why: "a function in a DeletionPolicy needs the transform AWS::LanguageExtensions"},
	"recorded-templates/deploy_template_2.yaml":                         {parameters: map[string]string{"CompanyName": "corpus"}},
	"recorded-templates/dynamicparameter_ssm_list.yaml":                 {ends: refused, says: "a key must be a string", why: jinja},
	"recorded-templates/engine/cfn_dependson_nonexisting_resource.yaml": {ends: refused, says: "Unresolved resource dependencies [NonExistingResource] in the Resources block of the template", why: "it depends on a resource that is not there"},
	"recorded-templates/engine/cfn_invalid_getatt.yaml":                 {ends: refused, says: "[Error] /Outputs/InvalidOutput/Value/Fn::GetAtt: Resource type AWS::SSM::Parameter does not support attribute {Invalid}", why: "it asks for an attribute that the type does not have"},
	"recorded-templates/engine/fn_select_fn_mapp.yml":                   {outputs: map[string]string{"ParameterValue": "true"}},
	"recorded-templates/engine/join_no_value.yml":                       {outputs: map[string]string{"JoinConditionalNoValue": "", "JoinOnlyNoValue": "", "JoinWithNoValue": "Sample"}},
	"recorded-templates/for_removal_setup.yaml":                         {ends: refused, says: "a key must be a string", why: jinja},
	"recorded-templates/functions_get_azs.yml":                          {parameters: map[string]string{"DeployRegion": "us-west-2"}},
	"recorded-templates/getatt_validation.yml":                          {parameters: map[string]string{"MyParameterValue": "a,b"}, ends: refused, says: "every Fn::GetAtt object requires two non-empty parameters", why: "its Fn::GetAtt names no attribute"},
	"recorded-templates/getatt_validation2.yml":                         {parameters: map[string]string{"MyParameterValue": "a"}, ends: refused, says: "every Fn::GetAtt object requires two non-empty parameters", why: "its Fn::GetAtt names no attribute"},
	"recorded-templates/iam_server_certificate.yaml":                    {parameters: map[string]string{"certificateName": "corpus"}, outputs: map[string]string{"Arn": "arn:aws:iam::[0-9]{12}:server-certificate/corpus", "ServerCertificateName": "corpus"}},
	"recorded-templates/legacy_transitive_ref.yaml":                     {parameters: map[string]string{"QueueName": "corpus", "Qualifier": "corpus"}},
	"recorded-templates/logs_group.yml":                                 {parameters: map[string]string{"LogGroupName": "corpus-group"}, outputs: map[string]string{"LogGroupNameOutput": "corpus-group"}},
	"recorded-templates/multiple_bucket.yaml":                           {parameters: map[string]string{"BucketName1": "corpus-multiple-1", "BucketName2": "corpus-multiple-2"}},
	"recorded-templates/multiple_bucket_update.yaml":                    {ends: rollsBack, says: "the property Transitions is not built in Slipway yet (NotImplemented)", why: "moving objects to other storage classes is not built"},
	"recorded-templates/nested-stack-outputref/sub2.yaml":               {parameters: map[string]string{"TopicArn": "arn:aws:sns:us-east-1:000000000000:corpus", "RoleName": "corpus"}},
	"recorded-templates/references_to_conditions.yml":                   {parameters: map[string]string{"Toggle": "yes", "ParameterValue": "a"}},
	"recorded-templates/s3_bucket_name.yml":                             {parameters: map[string]string{"Name": "corpus-name"}},
	"recorded-templates/ssm_parameter_defaultname.yaml":                 {parameters: map[string]string{"Input": "a"}},
	"recorded-templates/ssm_parameter_defaultname_withtags.yaml":        {parameters: map[string]string{"Input": "a", "TagValue": "b"}},
	"recorded-templates/template34.yaml":                                {parameters: map[string]string{"AliasName": "alias/corpus"}},
	"recorded-templates/template5.yaml":                                 {parameters: map[string]string{"LocalParam": "corpus"}},
	"recorded-templates/valid_template.json":                            {parameters: map[string]string{"KeyExample": "corpus"}, ends: rollsBack, says: "'[ami-0e6d2e8684d4ccb3e]' does not exist", why: foreign},
}

// host are the parameters of a template for an instance: subnet names the one
// for its subnet, and pairs of names and values follow.
func host(subnet string, more ...string) map[string]string {
	p := map[string]string{"KeyName": "corpus", subnet: "{subnet}"}
	for i := 0; i+1 < len(more); i += 2 {
		p[more[i]] = more[i+1]
	}
	return p
}
