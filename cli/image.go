package cli

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/slipway/slipway/arn"
	"github.com/slipway/slipway/auth"
	"github.com/slipway/slipway/compute/rootfs"
)

func newImage() *cobra.Command {
	cmd := &cobra.Command{Use: "image", Short: "Work with images of instances", Args: noArgs}
	cmd.AddCommand(newImageImport())
	return cmd
}

func newImageImport() *cobra.Command {
	in := importer{client: &http.Client{}}
	cmd := &cobra.Command{
		Use:   "import docker://REFERENCE | FILE.tar | OCI-LAYOUT",
		Short: "Make an image of a root file system, and print its id",
		Long: `Make an image that instances run from: of an image in a registry, of the archive that
"docker save" writes, of an OCI layout (a folder or an archive), or of a plain archive of
a root file system. It goes through a bucket of the running Slipway, as any tool's would:
credentials and region are those of AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if in.name == "" {
				in.name = nameOf(args[0])
			}
			id, err := in.run(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), id)
			return nil
		},
	}
	endpoint := os.Getenv("AWS_ENDPOINT_URL")
	if endpoint == "" {
		endpoint = "http://" + DefaultListen
	}
	cmd.Flags().StringVar(&in.endpoint, "endpoint", endpoint, "address of the running Slipway's API")
	cmd.Flags().StringVar(&in.name, "name", "", "name of the image; the default follows from the source")
	cmd.Flags().IntVar(&in.size, "size", 8, "size of the image's root volume, in GiB")
	return cmd
}

// unnamable is what an image's name cannot have.
var unnamable = regexp.MustCompile(`[^a-zA-Z0-9()\[\] ./\-'@_]+`)

func nameOf(source string) string {
	name := unnamable.ReplaceAllString(strings.TrimPrefix(source, "docker://"), "-")
	if !strings.HasPrefix(source, "docker://") {
		name = strings.TrimSuffix(filepath.Base(name), ".tar")
	}
	return (name + "-image")[:min(len(name), 100)]
}

// importer brings one image into a running Slipway.
type importer struct {
	client         *http.Client
	endpoint, name string
	size           int
}

func (in importer) run(ctx context.Context, source string) (id string, err error) {
	scratch, err := os.MkdirTemp("", "slipway-image-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(scratch)
	file := source
	if ref, ok := strings.CutPrefix(source, "docker://"); ok {
		file = filepath.Join(scratch, "pulled.tar")
		if err := rootfs.Pull(ctx, ref, file); err != nil {
			return "", fmt.Errorf("pull %s: %w", ref, err)
		}
	}
	if st, err := os.Stat(file); err != nil {
		return "", err
	} else if st.IsDir() {
		packed := filepath.Join(scratch, "layout.tar")
		if err := rootfs.Pack(file, packed); err != nil {
			return "", fmt.Errorf("read %s: %w", file, err)
		}
		file = packed
	}
	bucket := "slipway-import-" + arn.NewID("")
	if err := in.s3(ctx, http.MethodPut, "/"+bucket, nil); err != nil {
		return "", fmt.Errorf("make a bucket: %w", err)
	}
	defer func() {
		err = errors.Join(err, in.s3(context.WithoutCancel(ctx), http.MethodDelete, "/"+bucket+"/image.tar", nil),
			in.s3(context.WithoutCancel(ctx), http.MethodDelete, "/"+bucket, nil))
	}()
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if err := in.s3(ctx, http.MethodPut, "/"+bucket+"/image.tar", f); err != nil {
		return "", fmt.Errorf("upload: %w", err)
	}
	return in.register(ctx, bucket+"/image.tar")
}

// register makes the image and waits until it is available.
func (in importer) register(ctx context.Context, location string) (string, error) {
	var made struct {
		ID string `xml:"imageId"`
	}
	err := in.ec2(ctx, url.Values{
		"Action": {"RegisterImage"}, "Name": {in.name}, "ImageLocation": {location}, "RootDeviceName": {"/dev/xvda"},
		"BlockDeviceMapping.1.DeviceName": {"/dev/xvda"}, "BlockDeviceMapping.1.Ebs.VolumeType": {"gp3"},
		"BlockDeviceMapping.1.Ebs.VolumeSize": {fmt.Sprint(in.size)},
	}, &made)
	if err != nil {
		return "", err
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		var found struct {
			State  string `xml:"imagesSet>item>imageState"`
			Reason string `xml:"imagesSet>item>stateReason>message"`
		}
		if err := in.ec2(ctx, url.Values{"Action": {"DescribeImages"}, "ImageId.1": {made.ID}}, &found); err != nil {
			return "", err
		}
		switch found.State {
		case "available":
			return made.ID, nil
		case "pending":
		default:
			err := fmt.Errorf("image %s is %s: %s", made.ID, found.State, found.Reason)
			return "", errors.Join(err, in.ec2(ctx, url.Values{
				"Action": {"DeregisterImage"}, "ImageId": {made.ID}, "DeleteAssociatedSnapshots": {"true"},
			}, nil))
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-tick.C:
		}
	}
}

func (in importer) ec2(ctx context.Context, form url.Values, out any) error {
	form.Set("Version", "2016-11-15")
	body := form.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, in.endpoint+"/", strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	answer, err := in.do(req, []byte(body), "ec2")
	if err != nil || out == nil {
		return err
	}
	return xml.Unmarshal(answer, out)
}

func (in importer) s3(ctx context.Context, method, path string, content *os.File) error {
	var body io.Reader
	if content != nil {
		body = content
	}
	req, err := http.NewRequestWithContext(ctx, method, in.endpoint+path, body)
	if err != nil {
		return err
	}
	if content != nil {
		st, err := content.Stat()
		if err != nil {
			return err
		}
		req.ContentLength = st.Size()
	}
	req.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
	_, err = in.do(req, nil, "s3")
	return err
}

// do signs and sends a request, and reads the answer.
func (in importer) do(req *http.Request, body []byte, service string) ([]byte, error) {
	auth.Sign(req, body, credentials(), service, region(), time.Now())
	resp, err := in.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		var failure struct {
			Code    string `xml:"Code"`
			Message string `xml:"Message"`
			EC2     struct {
				Code    string `xml:"Code"`
				Message string `xml:"Message"`
			} `xml:"Errors>Error"`
		}
		_ = xml.Unmarshal(answer, &failure)
		return nil, fmt.Errorf("HTTP %d: %s%s: %s%s", resp.StatusCode, failure.Code, failure.EC2.Code, failure.Message, failure.EC2.Message)
	}
	return answer, nil
}

// credentials are the user's, or those that an open Slipway lets in.
func credentials() auth.Credentials {
	c := auth.Credentials{AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"), SessionToken: os.Getenv("AWS_SESSION_TOKEN")}
	if c.AccessKeyID == "" {
		return auth.Credentials{AccessKeyID: arn.DefaultAccount, SecretAccessKey: "local"}
	}
	return c
}

func region() string {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if r := os.Getenv(name); r != "" {
			return r
		}
	}
	return arn.DefaultRegion
}
