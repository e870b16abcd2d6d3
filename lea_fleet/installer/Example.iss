; A complete setup script of an agent, with enrollment. Requires Inno Setup 6.4 to 7.

[Setup]
AppId=LeaAgentExample
AppName=Lea
AppVersion=1.4.0
DefaultDirName={autopf}\Lea
PrivilegesRequired=admin
DisableProgramGroupPage=yes
OutputBaseFilename=lea-setup

[Files]
; Replace this with your agent's files.
Source: "Example.iss"; DestDir: "{app}"

#define LeaFleetUrl "https://rpa.example.com/api/v1/agents"
#include "LeaFleet.iss"
