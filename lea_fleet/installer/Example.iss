; A whole setup of an agent that enrols. Compile it with Inno Setup 6.4 or later.

[Setup]
AppId=LeaAgentExample
AppName=Lea
AppVersion=1.4.0
DefaultDirName={autopf}\Lea
PrivilegesRequired=admin
DisableProgramGroupPage=yes
OutputBaseFilename=lea-setup

[Files]
; Your agent's files instead of this one.
Source: "Example.iss"; DestDir: "{app}"

#define LeaFleetUrl "https://rpa.example.com/api/v1/agents"
#include "LeaFleet.iss"
