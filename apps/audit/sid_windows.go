package audit

import (
	"github.com/hydrawalk/hydra/walk"
	"golang.org/x/sys/windows"
)

// ownerSID is the security identifier of a file's owner, empty if it can not be
// read.
func ownerSID(e *walk.Entry) string {
	sd, err := windows.GetNamedSecurityInfo(e.Path(), windows.SE_FILE_OBJECT, windows.OWNER_SECURITY_INFORMATION)
	if err != nil {
		return ""
	}
	sid, _, err := sd.Owner()
	if err != nil || sid == nil {
		return ""
	}
	return sid.String()
}
