package corpus

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
)

// client calls a Slipway in open mode as the root of an account.
type client struct {
	endpoint, account string
	http              *http.Client
}

// refusal is an answer that says no.
type refusal struct {
	Status        int
	Code, Message string
}

func (r *refusal) Error() string { return fmt.Sprintf("HTTP %d %s: %s", r.Status, r.Code, r.Message) }

// node is any XML element.
type node struct {
	XMLName xml.Name
	Text    string `xml:",chardata"`
	Nodes   []node `xml:",any"`
}

// all finds the elements at a path of names: "Reservations/item".
func (n *node) all(path string) []*node {
	name, rest, more := strings.Cut(path, "/")
	var found []*node
	for i := range n.Nodes {
		switch c := &n.Nodes[i]; {
		case c.XMLName.Local != name:
		case more:
			found = append(found, c.all(rest)...)
		default:
			found = append(found, c)
		}
	}
	return found
}

func (n *node) texts(path string) (list []string) {
	for _, f := range n.all(path) {
		list = append(list, strings.TrimSpace(f.Text))
	}
	return list
}

// text is that of the first element at a path, or "".
func (n *node) text(path string) string {
	return strings.Join(n.texts(path)[:min(1, len(n.texts(path)))], "")
}

func (c *client) send(service, method, path string, header map[string]string, body []byte) ([]byte, error) {
	req, err := http.NewRequest(method, c.endpoint+path, nil)
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	auth.Sign(req, slices.Concat([]byte{}, body), auth.Credentials{AccessKeyID: c.account, SecretAccessKey: "local"}, service, arn.DefaultRegion, time.Now())
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode < http.StatusMultipleChoices {
		return answer, err
	}
	r := &refusal{Status: resp.StatusCode, Message: string(answer)}
	var root node
	if xml.Unmarshal(answer, &root) == nil {
		for _, at := range []string{"Error", "Errors/Error"} {
			for _, n := range root.all(at) {
				r.Code, r.Message = n.text("Code"), n.text("Message")
			}
		}
	}
	return nil, r
}

var versions = map[string]string{"cloudformation": "2010-05-15", "ec2": "2016-11-15", "iam": "2010-05-08", "sqs": "2012-11-05"}

// query calls an operation in the Query protocol, with pairs of parameters.
func (c *client) query(service, action string, params ...string) (*node, error) {
	form := url.Values{"Action": {action}, "Version": {versions[service]}}
	for i := 0; i+1 < len(params); i += 2 {
		form.Set(params[i], params[i+1])
	}
	answer, err := c.send(service, http.MethodPost, "/", map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, []byte(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", action, err)
	}
	root := new(node)
	if err := xml.Unmarshal(answer, root); err != nil {
		return nil, fmt.Errorf("%s: %w", action, err)
	}
	if result := root.all(action + "Result"); len(result) == 1 {
		return result[0], nil
	}
	return root, nil
}

// ssm calls an operation of SSM, which speaks JSON.
func (c *client) ssm(action, in string, out any) error {
	answer, err := c.send("ssm", http.MethodPost, "/", map[string]string{
		"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AmazonSSM." + action,
	}, []byte(in))
	if err == nil {
		err = json.Unmarshal(answer, out)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	return nil
}

// inventory is what an account has, by CloudFormation's names of the types.
type inventory map[string][]string

// lists tell how each type is listed, and where its ids stand in the answer.
var lists = []struct{ kind, service, action, ids string }{
	{"AWS::EC2::Instance", "ec2", "DescribeInstances", "reservationSet/item/instancesSet/item"},
	{"AWS::EC2::SecurityGroup", "ec2", "DescribeSecurityGroups", "securityGroupInfo/item/groupId"},
	{"AWS::EC2::EIP", "ec2", "DescribeAddresses", "addressesSet/item/publicIp"},
	{"AWS::EC2::KeyPair", "ec2", "DescribeKeyPairs", "keySet/item/keyName"},
	{"AWS::IAM::Role", "iam", "ListRoles", "Roles/member/RoleName"},
	{"AWS::IAM::InstanceProfile", "iam", "ListInstanceProfiles", "InstanceProfiles/member/InstanceProfileName"},
	{"AWS::SQS::Queue", "sqs", "ListQueues", "QueueUrl"},
}

// inventory lists what there is of the types that have a listing.
func (c *client) inventory() (inventory, error) {
	there := inventory{}
	for _, l := range lists {
		out, err := c.query(l.service, l.action)
		if err != nil {
			return nil, err
		}
		if l.kind != "AWS::EC2::Instance" {
			there[l.kind] = out.texts(l.ids)
			continue
		}
		for _, n := range out.all(l.ids) {
			if n.text("instanceState/name") != "terminated" {
				there[l.kind] = append(there[l.kind], n.text("instanceId"))
			}
		}
	}
	answer, err := c.send("s3", http.MethodGet, "/", nil, nil)
	if err != nil {
		return nil, fmt.Errorf("ListBuckets: %w", err)
	}
	var buckets node
	if err := xml.Unmarshal(answer, &buckets); err != nil {
		return nil, fmt.Errorf("ListBuckets: %w", err)
	}
	there["AWS::S3::Bucket"] = buckets.texts("Buckets/Bucket/Name")
	var out struct{ Parameters []struct{ Name string } }
	if err := c.ssm("DescribeParameters", "{}", &out); err != nil {
		return nil, err
	}
	for _, p := range out.Parameters {
		there["AWS::SSM::Parameter"] = append(there["AWS::SSM::Parameter"], p.Name)
	}
	for kind := range there {
		slices.Sort(there[kind])
	}
	return there, nil
}
