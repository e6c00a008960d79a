package cloudwatch

import (
	"strings"
	"testing"

	sns "github.com/slipway/slipway/api/sns"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/auth/keyring"
	snsservice "github.com/slipway/slipway/service/sns"
)

// The policy that a topic begins with lets the alarms of its account in.
func TestAlarmsPublishToTopics(t *testing.T) {
	w := newWorld(t)
	svc := snsservice.New(snsservice.Config{Store: w.store, Ring: keyring.Ephemeral(), Now: w.now})
	for _, name := range []string{"topic", "topic.fifo"} {
		in := &sns.CreateTopicInput{Name: name}
		if strings.HasSuffix(name, ".fifo") {
			in.Attributes = map[string]string{"FifoTopic": "true"}
		}
		_, err := svc.CreateTopic(w.ctx, in)
		w.check(err)
	}
	// One whose policy lets nobody in.
	_, err := svc.CreateTopic(w.ctx, &sns.CreateTopicInput{Name: "closed", Attributes: map[string]string{"Policy": `{"Version":"2012-10-17","Statement":[` +
		`{"Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"SNS:Publish","Resource":"arn:aws:sns:us-east-1:111111111111:closed"}]}`}})
	w.check(err)
	w.actions["sns"] = Topics{SNS: sns.Intercept(svc, auth.Guard(auth.Everyone{}))}
	name := strings.Repeat("ü", 60)
	in := input(name)
	in.AlarmActions = []string{topic, topic + ".fifo", topic + "2", "arn:aws:sns:us-east-1:111111111111:closed"}
	_, err = w.PutMetricAlarm(w.ctx, in)
	w.check(err)
	w.set(name, "ALARM", "test")
	w.check(w.actOnce(w.ctx))
	history := w.history(name)
	for _, want := range []string{
		"Successfully executed action " + topic + "\n", "Successfully executed action " + topic + ".fifo\n", "Failed to execute action " + topic + "2. Received error",
		"Failed to execute action arn:aws:sns:us-east-1:111111111111:closed. Received error: \"User: arn:aws:iam::111111111111:root is not authorized",
	} {
		if !strings.Contains(history+"\n", want) {
			t.Errorf("no %q in %s", want, history)
		}
	}
}
