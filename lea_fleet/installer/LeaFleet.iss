// lea_fleet for Inno Setup 6: a computer that installs the agent enrols in the fleet,
// one that upgrades it says so, and one that uninstalls it says goodbye.
//
// After the [Setup] section of your script:
//
//   #define LeaFleetUrl "https://rpa.example.com/api/v1/agents"
//   #include "LeaFleet.iss"
//
// It adds event handlers beside those that your script may have. Each setting below
// may be defined before the #include; constants such as {app} and {param:NAME|default}
// are expanded when setup runs.

// Where the server's routes stand. Required.
#ifndef LeaFleetUrl
  #error LeaFleetUrl is not defined: #define LeaFleetUrl "https://your.server/api/v1/agents"
#endif

// The version that is reported: AppVersion, which has to stand before the #include.
#ifndef LeaFleetVersion
  #define LeaFleetVersion SetupSetting("AppVersion")
#endif
#if LeaFleetVersion == ""
  #error LeaFleetVersion is empty: #include LeaFleet.iss after [Setup] with AppVersion
#endif

// The account that the agent runs under, which has to read its token: a name such as
// NT SERVICE\Lea, or a SID. Without one, the system and administrators only.
#ifndef LeaFleetAccount
  #define LeaFleetAccount ""
#endif

// Where the enrolment token is looked for first. Then in the environment variable
// LEA_ENROLL_TOKEN, then in /LEATOKEN= on the command line.
#ifndef LeaFleetTokenFile
  #define LeaFleetTokenFile "{param:LEATOKENFILE|{src}\lea-enroll-token.txt}"
#endif

// Where the computer's own token and what belongs to it are kept.
#ifndef LeaFleetFolder
  #define LeaFleetFolder "{app}\fleet"
#endif

// What a person reads after an enrolment that failed.
#ifndef LeaFleetErrorFile
  #define LeaFleetErrorFile "{app}\enroll-last-error.txt"
#endif

// The computer's id. Without one, Windows' own MachineGuid.
#ifndef LeaFleetMachineId
  #define LeaFleetMachineId ""
#endif

// What the fleet is told of the computer and its user; empty is not told.
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
  #define LeaFleetHostname "{computername}"
#endif

// Why the agent was uninstalled.
#ifndef LeaFleetReason
  #define LeaFleetReason "{param:LEAREASON|Uninstalled on the computer}"
#endif

// For how many seconds an installation tries to reach the server.
#ifndef LeaFleetPatience
  #define LeaFleetPatience "{param:LEAPATIENCE|60}"
#endif

// Each as text of Pascal, where an apostrophe is written twice; expanded when setup runs.
#define LeaFleetText(str Setting) \
  "ExpandConstant('" + StringChange(Setting, "'", "''") + "')"

[Code]
const
  LeaFleetDone = 0;
  LeaFleetAgain = 20;     // no usable answer: run setup again later
  LeaFleetAsk = 21;       // somebody has to act on the server
  LeaFleetMend = 22;      // this setup asks for something that cannot be
  LeaFleetSettled = 23;   // the server's last word
  LeaFleetUnstored = 24;  // this computer cannot keep what it was given

  LeaFleetLongestDetail = 255;    // characters, as the server takes them
  LeaFleetLongestReason = 500;
  LeaFleetGoodbyePatience = 8;    // seconds that an uninstall may be delayed

var
  LeaFleetOutcome: Integer;  // what Setup's exit code will be
  LeaFleetServer: String;

#include "LeaFleetJson.iss"
#include "LeaFleetHttp.iss"
#include "LeaFleetState.iss"

[Code]
// Returns a member of a JSON object, with a comma before it; nothing for no Value.
function LeaFleetDetail(const Name, Value: String; const Longest: Integer): String;
var
  Trimmed: String;
begin
  Result := '';
  Trimmed := Trim(Value);  // within Copy() it would lose what ANSI has not
  if Trimmed <> '' then
    Result := ',"' + Name + '":' + LeaFleetQuoted(Copy(Trimmed, 1, Longest));
end;

// Returns the body of an enrolment or a heartbeat.
function LeaFleetAbout(const Machine: String): String;
begin
  Result := '{"machine_id":' + LeaFleetQuoted(Machine)
    + LeaFleetDetail('user_name', {#LeaFleetText(LeaFleetUserName)}, LeaFleetLongestDetail)
    + LeaFleetDetail('user_email', {#LeaFleetText(LeaFleetUserEmail)}, LeaFleetLongestDetail)
    + LeaFleetDetail('user_id', {#LeaFleetText(LeaFleetUserId)}, LeaFleetLongestDetail)
    + LeaFleetDetail('hostname', {#LeaFleetText(LeaFleetHostname)}, LeaFleetLongestDetail)
    + LeaFleetDetail('os_info', 'Windows ' + GetWindowsVersionString, LeaFleetLongestDetail)
    + LeaFleetDetail('version', {#LeaFleetText(LeaFleetVersion)}, LeaFleetLongestDetail)
    + '}';
end;

function LeaFleetTimeLimit: Integer;
begin
  Result := StrToIntDef({#LeaFleetText(LeaFleetPatience)}, 60);
end;

// What a person may do about an outcome.
function LeaFleetAdvice(const Outcome: Integer): String;
begin
  case Outcome of
    LeaFleetAgain:
      Result := 'Check that this computer reaches the server, and run setup again.';
    LeaFleetAsk:
      Result := 'Ask the operator of the server, with this file; then run setup again.';
    LeaFleetMend:
      Result := 'Ask whoever prepared this setup to put it right; then run it again.';
    LeaFleetSettled:
      Result := 'The server does not take this computer. Running setup again changes nothing.';
    LeaFleetUnstored:
      Result := 'Run setup again, as an administrator and with space on the disk.';
  end;
end;

// Writes down, for a person, what went wrong; the exit code says it to a program.
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
  if not WizardSilent then  // there may be nobody to close a silent one's
    MsgBox('The program is installed. Its server could not be told of this computer.'
      + #13#10#13#10 + What + #13#10#13#10 + LeaFleetAdvice(Outcome), mbError, MB_OK);
end;

procedure LeaFleetSucceed;
begin
  LeaFleetOutcome := LeaFleetDone;
  DeleteFile({#LeaFleetText(LeaFleetErrorFile)});
end;

// Returns what a refusal means. The server says it by its action; an answer without
// one is not the server's: a proxy's, or another program's.
function LeaFleetVerdict(const Answer: TLeaFleetAnswer): Integer;
var
  Action: String;
begin
  Action := LeaFleetMember(Answer.Text, 'action');
  if (Action = 'ask_operator') or (Action = 'reenroll') then
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
  if Answer.Status = 0 then
    What := Format('The server did not answer (Windows error %d).', [Answer.Fault])
  else if LeaFleetMember(Answer.Text, 'action') = '' then
    What := 'What answered is not the server: HTTP status ' + IntToStr(Answer.Status) + '.'
  else
    What := IntToStr(Answer.Status) + ' ' + LeaFleetMember(Answer.Text, 'code') + ': '
      + LeaFleetMember(Answer.Text, 'detail') + ' ('
      + LeaFleetMember(Answer.Text, 'action') + ')';
  LeaFleetFail(LeaFleetVerdict(Answer), Machine, What);
end;

// Tells whether S could be a token: no space and no other letter survives a header.
function LeaFleetIsToken(const S: String): Boolean;
var
  I: Integer;
begin
  Result := S <> '';
  for I := 1 to Length(S) do
    if (Ord(S[I]) < 33) or (Ord(S[I]) > 126) then
      Result := False;
end;

// Returns the enrolment token, or why there is none in Why.
//
// Setup writes its whole command line into its log before any line of ours runs. A
// token that stands there is known to whoever reads the log: it is not used.
function LeaFleetEnrollmentToken(var Why: String): String;
var
  Path: String;
begin
  Why := '';
  Path := {#LeaFleetText(LeaFleetTokenFile)};
  Result := LeaFleetRead(Path);
  if Result = '' then
    Result := Trim(GetEnv('LEA_ENROLL_TOKEN'));
  if Result = '' then begin
    Result := Trim(ExpandConstant('{param:LEATOKEN}'));
    if (Result <> '') and (ExpandConstant('{log}') <> '') then begin
      Result := '';
      Why := 'The enrolment token stood on the command line, which Setup has written to '
        + ExpandConstant('{log}') + '. Have it revoked; put the next one into ' + Path + '.';
      Exit;
    end;
  end;
  if Result = '' then
    Why := 'There is no enrolment token in ' + Path
      + ', in LEA_ENROLL_TOKEN, or in /LEATOKEN=.'
  else if not LeaFleetIsToken(Result) then begin
    Result := '';
    Why := 'What was given as the enrolment token is not one: it has spaces or accents.';
  end;
end;

// Returns the key under which this enrolment is known until its answer has been
// stored, also to a setup that is run again: it is kept before the first request.
function LeaFleetKey: String;
begin
  Result := LeaFleetRead(LeaFleetPath(LeaFleetKeyName));
  if LeaFleetIsToken(Result) then
    Exit;
  Result := LeaFleetRandom;
  LeaFleetStore(LeaFleetKeyName, Result);
end;

// Keeps what an enrolment has brought, the token last but one: only then is the key
// of no more use.
procedure LeaFleetKeep(const Answer: TLeaFleetAnswer);
begin
  LeaFleetStore(LeaFleetUrlName, LeaFleetServer);
  LeaFleetStore(LeaFleetIntervalName, LeaFleetMember(Answer.Text, 'heartbeat_interval'));
  LeaFleetStore(LeaFleetTokenName, LeaFleetMember(Answer.Text, 'api_token'));
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
  if LeaFleetRead(LeaFleetPath(LeaFleetMachineName)) <> Machine then begin
    LeaFleetForget(LeaFleetTokenName);  // another computer's, and so is the key
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

// Reports the version of a computer that is enrolled. Returns False where the server
// has ended that enrolment, so that another one has to follow.
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
  Log('lea_fleet: the server has ended this enrolment');
  LeaFleetForget(LeaFleetTokenName);
  Result := False;
end;

// Returns where the server's routes stand. The agent, too, adds its routes to that.
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
  WizardForm.StatusLabel.Caption := 'Telling ' + LeaFleetServer + ' of this computer...';
  Machine := LeaFleetMachine;
  if not LeaFleetTakeApart(LeaFleetServer, Place) then begin
    LeaFleetFail(LeaFleetMend, Machine,
      'The address of the server is none: it begins with https:// and has a host.');
    Exit;
  end;
  LeaFleetMakeFolder;
  Token := LeaFleetStoredToken(Machine);
  if Token <> '' then
    if LeaFleetReport(Machine, Token) then
      Exit;
  LeaFleetEnroll(Machine);
end;

// Says goodbye, and removes what is of no more use. A computer that could not say it
// keeps its token, protected as before: its row is still active, and an installation
// to come finds its identity again instead of a refusal.
procedure LeaFleetLeave;
var
  Token, Machine: String;
  Answer: TLeaFleetAnswer;
begin
  LeaFleetServer := LeaFleetRead(LeaFleetPath(LeaFleetUrlName));
  Machine := LeaFleetRead(LeaFleetPath(LeaFleetMachineName));
  Token := LeaFleetRead(LeaFleetPath(LeaFleetTokenName));
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
      Log('lea_fleet: the server could not be told; the token is kept');
      Exit;
    end;
    LeaFleetForget(LeaFleetTokenName);
  end
  else if LeaFleetRead(LeaFleetPath(LeaFleetKeyName)) <> '' then
    Exit;  // an enrolment whose answer is still to be asked for
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
  try
    LeaFleetJoin;
  except
    LeaFleetFail(LeaFleetUnstored, LeaFleetMachine, GetExceptionMessage);
  end;
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
    Log('lea_fleet: ' + GetExceptionMessage);  // no reason to stop an uninstall
  end;
  // Where a token had been kept, the folder is not Setup's own any more. One that
  // is not empty stays.
  if CurUninstallStep = usPostUninstall then
    RemoveDir(ExpandConstant('{app}'));
end;
