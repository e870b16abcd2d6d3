// lea-fleet for Inno Setup 6.4 to 7: setup enrolls the computer, an upgrade reports its version,
// and the uninstaller reports the uninstall.
//
// After the [Setup] section of your script:
//
//   #define LeaFleetUrl "https://rpa.example.com/api/v1/agents"
//   #include "LeaFleet.iss"
//
// Its event functions use event attributes, so your script may have its own. Define the
// settings below before the #include; constants such as {app} and {param:NAME|default}
// are expanded when setup runs.

// The server's URL including the prefix of the routes. Required.
#ifndef LeaFleetUrl
  #error LeaFleetUrl is not defined: #define LeaFleetUrl "https://your.server/api/v1/agents"
#endif

// The version to report. AppVersion must be defined before the #include.
#ifndef LeaFleetVersion
  #define LeaFleetVersion SetupSetting("AppVersion")
#endif
#if LeaFleetVersion == ""
  #error LeaFleetVersion is empty: #include LeaFleet.iss after [Setup] with AppVersion
#endif

// The account that the agent runs as, which may read the token: a name such as
// NT SERVICE\Lea, or a SID. Without it, only the system and administrators may.
#ifndef LeaFleetAccount
  #define LeaFleetAccount ""
#endif

// How the computer's token is stored in its protected folder: "" in agent-token.txt, or
// "DPAPI" in agent-token.dpapi, which only this computer can decrypt.
#ifndef LeaFleetEncryption
  #define LeaFleetEncryption ""
#endif
#if LeaFleetEncryption != "" && LeaFleetEncryption != "DPAPI"
  #error LeaFleetEncryption must be "" or "DPAPI"
#endif

// By this, setup finds where it has been installed before. Default: AppId of [Setup].
#ifndef LeaFleetAppId
  #define LeaFleetAppId SetupSetting("AppId")
#endif
#if LeaFleetAppId == ""
  #undef LeaFleetAppId
  #define LeaFleetAppId SetupSetting("AppName")
#endif

// The file to read the enrollment token from. If it does not exist, the environment
// variable LEA_ENROLL_TOKEN is read, then /LEATOKEN= on the command line.
#ifndef LeaFleetTokenFile
  #define LeaFleetTokenFile "{param:LEATOKENFILE|{src}\lea-enroll-token.txt}"
#endif

// The folder for the computer's token and related files.
#ifndef LeaFleetFolder
  #define LeaFleetFolder "{app}\fleet"
#endif

// The file for the error message of a failed enrollment.
#ifndef LeaFleetErrorFile
  #define LeaFleetErrorFile "{app}\enroll-last-error.txt"
#endif

// The machine id. Default: MachineGuid of Windows.
#ifndef LeaFleetMachineId
  #define LeaFleetMachineId ""
#endif

// The reported user and hostname; empty values are not reported.
#ifndef LeaFleetUserName
  #define LeaFleetUserName "{param:LEAUSERNAME|{username}}"
#endif
#ifndef LeaFleetUserEmail
  #define LeaFleetUserEmail "{param:LEAUSEREMAIL}"
#endif
#ifndef LeaFleetUserId
  #define LeaFleetUserId "{param:LEAUSERID}"
#endif
#ifndef LeaFleetHostname
  #define LeaFleetHostname "{code:LeaFleetComputerName}"
#endif

// The reason of an uninstall.
#ifndef LeaFleetReason
  #define LeaFleetReason "{param:LEAREASON|Uninstalled on the computer}"
#endif

// For how many seconds setup retries to reach the server.
#ifndef LeaFleetPatience
  #define LeaFleetPatience "{param:LEAPATIENCE|60}"
#endif

// A setting as a Pascal string, with apostrophes doubled; expanded when setup runs.
#define LeaFleetText(str Setting) \
  "ExpandConstant('" + StringChange(Setting, "'", "''") + "')"

[Code]
const
  LeaFleetDone = 0;
  LeaFleetAgain = 20;     // no usable response: run setup again later
  LeaFleetAsk = 21;       // an operator has to act
  LeaFleetMend = 22;      // the request of this setup is not valid
  LeaFleetSettled = 23;   // refused permanently
  LeaFleetUnstored = 24;  // the files cannot be stored
  LeaFleetProxy = 25;     // a proxy wants a name and password

  LeaFleetLongestDetail = 255;    // characters, the limit of the server
  LeaFleetLongestReason = 500;
  LeaFleetGoodbyePatience = 8;    // seconds that an uninstall may be delayed

var
  LeaFleetOutcome: Integer;  // Setup's exit code
  LeaFleetServer: String;

#include "LeaFleetJson.iss"
#include "LeaFleetHttp.iss"
#include "LeaFleetState.iss"
#include "LeaFleetToken.iss"

[Code]
// Returns a member of a JSON object with a leading comma, or nothing if Value is empty.
function LeaFleetDetail(const Name, Value: String; const Longest: Integer): String;
var
  Trimmed: String;
begin
  Result := '';
  Trimmed := Trim(Value);  // inside Copy() it would lose characters that ANSI lacks
  if Trimmed <> '' then
    Result := ',"' + Name + '":' + LeaFleetQuoted(Copy(Trimmed, 1, Longest));
end;

// Returns the body of an enrollment or a heartbeat.
function LeaFleetAbout(const Machine: String): String;
begin
  Result := '{"machine_id":' + LeaFleetQuoted(Machine)
    + LeaFleetDetail('user_name', {#LeaFleetText(LeaFleetUserName)}, LeaFleetLongestDetail)
    + LeaFleetDetail('user_email', {#LeaFleetText(LeaFleetUserEmail)}, LeaFleetLongestDetail)
    + LeaFleetDetail('user_id', {#LeaFleetText(LeaFleetUserId)}, LeaFleetLongestDetail)
    + LeaFleetDetail('hostname', {#LeaFleetText(LeaFleetHostname)}, LeaFleetLongestDetail)
    + LeaFleetDetail('os_info', 'Windows ' + GetWindowsVersionString + ' '
      + LeaFleetArchitecture, LeaFleetLongestDetail)
    + LeaFleetDetail('version', {#LeaFleetText(LeaFleetVersion)}, LeaFleetLongestDetail)
    + '}';
end;

function LeaFleetTimeLimit: Integer;
begin
  Result := StrToIntDef({#LeaFleetText(LeaFleetPatience)}, 60);
end;

// Returns what a person can do about an outcome.
function LeaFleetAdvice(const Outcome: Integer): String;
begin
  case Outcome of
    LeaFleetAgain:
      Result := 'Check that this computer can reach the server, and run setup again.';
    LeaFleetAsk:
      Result := 'Send this file to the operator of the server, then run setup again.';
    LeaFleetMend:
      Result := 'Send this file to the author of this setup: its request is at fault, or a proxy'
        + ' on its way. Then run setup again.';
    LeaFleetSettled:
      Result := 'The server refuses this computer. Running setup again will not change this.';
    LeaFleetUnstored:
      Result := 'Run setup again as an administrator, with free space on the disk.';
    LeaFleetProxy:
      Result := 'Let this computer reach the server without the proxy, or without a password'
        + ' of it, and run setup again.';
  end;
end;

// Writes the error file for a person, and sets the exit code for programs.
procedure LeaFleetFail(const Outcome: Integer; const Machine, What: String);
var
  Lines: TArrayOfString;
begin
  LeaFleetOutcome := Outcome;
  Lines := [
    GetDateTimeString('yyyy-mm-dd hh:nn:ss', '-', ':') + ' ' + {#LeaFleetText(LeaFleetVersion)},
    'Computer: ' + Machine,
    'Server: ' + LeaFleetServer,
    'What happened: ' + What,
    'What to do: ' + LeaFleetAdvice(Outcome)
  ];
  Log('lea_fleet: ' + What);
  SaveStringsToUTF8File({#LeaFleetText(LeaFleetErrorFile)}, Lines, False);
  if not WizardSilent then  // in a silent setup, nobody may be there to close it
    MsgBox('The program is installed, but this computer could not be enrolled with the server.'
      + #13#10#13#10 + What + #13#10#13#10 + LeaFleetAdvice(Outcome), mbError, MB_OK);
end;

procedure LeaFleetSucceed;
begin
  LeaFleetOutcome := LeaFleetDone;
  DeleteFile({#LeaFleetText(LeaFleetErrorFile)});
end;

// Returns the outcome for an error response. A response without an action is not from
// the server, but from a proxy or another program.
function LeaFleetVerdict(const Answer: TLeaFleetAnswer): Integer;
var
  Action: String;
begin
  Action := LeaFleetMember(Answer.Text, 'action');
  if Answer.Status = LeaFleetProxyWantsName then
    Result := LeaFleetProxy
  else if (Action = 'ask_operator') or (Action = 'reenroll') then
    Result := LeaFleetAsk
  else if Action = 'fix_request' then
    Result := LeaFleetMend
  else if Action = 'stop' then
    Result := LeaFleetSettled
  else
    Result := LeaFleetAgain;
end;

procedure LeaFleetRefused(const Answer: TLeaFleetAnswer; const Machine: String);
var
  What: String;
begin
  if (Answer.Status = 0) and LeaFleetUntrusted(Answer.Fault) then
    What := Format('HTTPS failed (Windows error %d). Check the certificate of the server (its'
      + ' authority, name and dates), its versions of TLS, and the clock of this computer.'
      , [Answer.Fault])
  else if Answer.Status = LeaFleetProxyWantsName then
    What := 'A proxy wants a name and password: HTTP status 407.'
  else if Answer.Status = 0 then
    What := Format('The server did not respond (Windows error %d).', [Answer.Fault])
  else if LeaFleetMember(Answer.Text, 'action') = '' then
    What := 'The response is not from the server itself: HTTP status '
      + IntToStr(Answer.Status) + '.'
  else
    What := IntToStr(Answer.Status) + ' ' + LeaFleetMember(Answer.Text, 'code') + ': '
      + LeaFleetMember(Answer.Text, 'detail') + ' ('
      + LeaFleetMember(Answer.Text, 'action') + ')';
  LeaFleetFail(LeaFleetVerdict(Answer), Machine, What);
end;

// Returns whether S can be sent as a token: printable ASCII without spaces.
function LeaFleetIsToken(const S: String): Boolean;
var
  I: Integer;
begin
  Result := S <> '';
  for I := 1 to Length(S) do
    if (Ord(S[I]) < 33) or (Ord(S[I]) > 126) then
      Result := False;
end;

// Returns a token without the quotes that cmd's echo writes.
function LeaFleetUnquoted(const S: String): String;
var
  Last: Integer;
begin
  Result := Trim(S);
  Last := Length(Result);
  if (Last > 1) and (Pos(Result[1], #34#39) > 0) and (Result[1] = Result[Last]) then
    Result := Copy(Result, 2, Last - 2);
end;

// Returns the enrollment token, or an empty string and the reason in Why.
//
// Setup writes its whole command line to its log before any of this code runs. A token
// from there is known to everybody who can read the log, so it is not used.
function LeaFleetEnrollmentToken(var Why: String): String;
var
  Path: String;
begin
  Why := '';
  Path := {#LeaFleetText(LeaFleetTokenFile)};
  Result := LeaFleetUnquoted(LeaFleetRead(Path));
  if Result = '' then
    Result := LeaFleetUnquoted(GetEnv('LEA_ENROLL_TOKEN'));
  if Result = '' then begin
    Result := LeaFleetUnquoted(ExpandConstant('{param:LEATOKEN}'));
    if (Result <> '') and (ExpandConstant('{log}') <> '') then begin
      Result := '';
      Why := 'The enrollment token was on the command line, which Setup has written to '
        + ExpandConstant('{log}') + '. Have it revoked, and put a new one into ' + Path + '.';
      Exit;
    end;
  end;
  if Result = '' then
    Why := 'There is no enrollment token in ' + Path
      + ', in LEA_ENROLL_TOKEN or in /LEATOKEN=.'
  else if not LeaFleetIsToken(Result) then begin
    Result := '';
    Why := 'The enrollment token is not valid: it contains spaces or accents.';
  end;
end;

// Returns the Idempotency-Key of this enrollment. It is stored before the first request,
// so that a setup that is run again can repeat an enrollment whose response was lost.
function LeaFleetKey: String;
begin
  Result := LeaFleetKept(LeaFleetKeyName);
  if LeaFleetIsToken(Result) then
    Exit;
  Result := LeaFleetRandom;
  LeaFleetStore(LeaFleetKeyName, Result);
end;

// Stores the response of an enrollment. The key is removed last, after the token has
// been stored, because it is needed until then.
procedure LeaFleetKeep(const Answer: TLeaFleetAnswer);
begin
  LeaFleetStore(LeaFleetUrlName, LeaFleetServer);
  LeaFleetStore(LeaFleetIntervalName, LeaFleetMember(Answer.Text, 'heartbeat_interval'));
  LeaFleetStoreToken(LeaFleetMember(Answer.Text, 'api_token'));
  LeaFleetForget(LeaFleetKeyName);
end;

procedure LeaFleetEnroll(const Machine: String);
var
  Token, Why: String;
  Answer: TLeaFleetAnswer;
begin
  Token := LeaFleetEnrollmentToken(Why);
  if Token = '' then begin
    LeaFleetFail(LeaFleetMend, Machine, Why);
    Exit;
  end;
  if LeaFleetKept(LeaFleetMachineName) <> Machine then begin
    LeaFleetForgetToken;  // token and key belong to another computer
    LeaFleetForget(LeaFleetKeyName);
    LeaFleetStore(LeaFleetMachineName, Machine);
  end;
  Answer := LeaFleetPost('/enroll', Token, LeaFleetKey, LeaFleetAbout(Machine),
    LeaFleetTimeLimit);
  if (Answer.Status <> 201)
    or not LeaFleetIsToken(LeaFleetMember(Answer.Text, 'api_token')) then begin
    LeaFleetRefused(Answer, Machine);
    Exit;
  end;
  LeaFleetKeep(Answer);
  Log('lea_fleet: ' + LeaFleetMember(Answer.Text, 'status') + ' as ' + Machine);
  LeaFleetSucceed;
end;

// Reports the version of an enrolled computer. Returns False if the machine was
// uninstalled on the server and has to be enrolled again.
function LeaFleetReport(const Machine, Token: String): Boolean;
var
  Answer: TLeaFleetAnswer;
begin
  Result := True;
  Answer := LeaFleetPost('/heartbeat', Token, '', LeaFleetAbout(Machine),
    LeaFleetTimeLimit);
  if (Answer.Status = 200) and (LeaFleetMember(Answer.Text, 'status') = 'ok') then begin
    LeaFleetStore(LeaFleetUrlName, LeaFleetServer);
    LeaFleetSucceed;
    Exit;
  end;
  if LeaFleetMember(Answer.Text, 'action') <> 'reenroll' then begin
    LeaFleetRefused(Answer, Machine);
    Exit;
  end;
  Log('lea_fleet: this machine was uninstalled on the server');
  LeaFleetForgetToken;
  Result := False;
end;

// Returns LeaFleetUrl without trailing slashes. The agent appends its routes to it, too.
function LeaFleetAddress: String;
begin
  Result := {#LeaFleetText(LeaFleetUrl)};
  while Copy(Result, Length(Result), 1) = '/' do
    Delete(Result, Length(Result), 1);
end;

procedure LeaFleetJoin;
var
  Machine, Token: String;
  Place: TLeaFleetPlace;
begin
  WizardForm.StatusLabel.Caption := 'Enrolling this computer with ' + LeaFleetServer + '...';
  Machine := LeaFleetMachine;
  if not LeaFleetTakeApart(LeaFleetServer, Place) then begin
    LeaFleetFail(LeaFleetMend, Machine,
      'The URL of the server is not valid: it must be https:// followed by a server name.');
    Exit;
  end;
  LeaFleetMakeFolder;
  LeaFleetAdopt;
  Token := LeaFleetStoredToken(Machine);
  if Token <> '' then
    if LeaFleetReport(Machine, Token) then
      Exit;
  LeaFleetEnroll(Machine);
end;

// Reports the uninstall and removes the stored files. If the server cannot be reached,
// the token stays in its protected folder: the machine is still active on the server, and
// a later installation can use the same identity instead of being refused.
procedure LeaFleetLeave;
var
  Token, Machine: String;
  Answer: TLeaFleetAnswer;
begin
  LeaFleetServer := LeaFleetKept(LeaFleetUrlName);
  Machine := LeaFleetKept(LeaFleetMachineName);
  Token := LeaFleetKeptToken;
  DeleteFile({#LeaFleetText(LeaFleetErrorFile)});
  LeaFleetForget(LeaFleetUrlName);
  LeaFleetForget(LeaFleetIntervalName);
  if Token <> '' then begin
    Answer := LeaFleetPost('/uninstall', Token, '',
      '{"machine_id":' + LeaFleetQuoted(Machine)
      + LeaFleetDetail('reason', {#LeaFleetText(LeaFleetReason)}, LeaFleetLongestReason)
      + '}', LeaFleetGoodbyePatience);
    if ((Answer.Status <> 200) or (LeaFleetMember(Answer.Text, 'status') <> 'uninstalled'))
      and (LeaFleetMember(Answer.Text, 'action') <> 'reenroll') then begin
      Log('lea_fleet: the uninstall could not be reported; the token is kept');
      Exit;
    end;
    LeaFleetForgetToken;
  end
  else if LeaFleetKept(LeaFleetKeyName) <> '' then
    Exit;  // an enrollment that got no response yet
  LeaFleetForget(LeaFleetKeyName);
  LeaFleetForget(LeaFleetMachineName);
  RemoveDir({#LeaFleetText(LeaFleetFolder)});
end;

<event('CurStepChanged')>
procedure LeaFleetCurStepChanged(CurStep: TSetupStep);
begin
  if CurStep <> ssPostInstall then
    Exit;
  LeaFleetServer := LeaFleetAddress;
  LeaFleetLock := LeaFleetNone;
  try
    LeaFleetJoin;
  except
    LeaFleetFail(LeaFleetUnstored, LeaFleetMachine, GetExceptionMessage);
  end;
  LeaFleetRelease;
end;

<event('GetCustomSetupExitCode')>
function LeaFleetExitCode: Integer;
begin
  Result := LeaFleetOutcome;
end;

<event('CurUninstallStepChanged')>
procedure LeaFleetCurUninstallStepChanged(CurUninstallStep: TUninstallStep);
begin
  try
    if CurUninstallStep = usUninstall then
      LeaFleetLeave;
  except
    Log('lea_fleet: ' + GetExceptionMessage);  // must not stop the uninstall
  end;
  // Setup does not remove the folder itself if a token was kept in it by an earlier
  // uninstall. RemoveDir removes it only if it is empty.
  if CurUninstallStep = usPostUninstall then
    RemoveDir(ExpandConstant('{app}'));
end;
