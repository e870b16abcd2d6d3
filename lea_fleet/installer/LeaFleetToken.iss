// The computer's token at rest: in a plain file, or encrypted with DPAPI; and the identity
// that an earlier setup of the same AppId left in another folder.
// Included by LeaFleet.iss.

[Code]
const
  LeaFleetTokenName = 'agent-token.txt';
  LeaFleetSealedName = 'agent-token.dpapi';

  LeaFleetForMachine = 5;  // CRYPTPROTECT_LOCAL_MACHINE, CRYPTPROTECT_UI_FORBIDDEN

type
  // DATA_BLOB, padded as Windows does
  TLeaFleetBlob = record
    Size, Data: DWORD_PTR;
  end;

function LeaFleetAllocate(Flags: DWORD; Size: DWORD_PTR): DWORD_PTR;
external 'LocalAlloc@kernel32.dll stdcall';

procedure LeaFleetCopyIn(Target: DWORD_PTR; Source: AnsiString; Size: DWORD_PTR);
external 'RtlMoveMemory@kernel32.dll stdcall';

procedure LeaFleetCopyOut(Target: AnsiString; Source, Size: DWORD_PTR);
external 'RtlMoveMemory@kernel32.dll stdcall';

function LeaFleetProtectData(var Input: TLeaFleetBlob;
  Description, Entropy, Reserved, Prompt: DWORD_PTR; Flags: DWORD;
  var Output: TLeaFleetBlob): Boolean;
external 'CryptProtectData@crypt32.dll stdcall';

function LeaFleetUnprotectData(var Input: TLeaFleetBlob;
  Description, Entropy, Reserved, Prompt: DWORD_PTR; Flags: DWORD;
  var Output: TLeaFleetBlob): Boolean;
external 'CryptUnprotectData@crypt32.dll stdcall';

// Encrypts bytes for this computer, or decrypts them. Returns none if Windows cannot.
function LeaFleetSealed(const Bytes: AnsiString; const Encrypt: Boolean): AnsiString;
var
  Input, Output: TLeaFleetBlob;
  Done: Boolean;
begin
  Result := '';
  Input.Size := Length(Bytes);
  Input.Data := LeaFleetAllocate(0, Input.Size);
  LeaFleetCopyIn(Input.Data, Bytes, Input.Size);
  Output.Size := 0;
  if Encrypt then
    Done := LeaFleetProtectData(Input, 0, 0, 0, 0, LeaFleetForMachine, Output)
  else
    Done := LeaFleetUnprotectData(Input, 0, 0, 0, 0, LeaFleetForMachine, Output);
  LeaFleetFree(Input.Data);
  if not Done then
    Exit;
  SetLength(Result, Output.Size);
  LeaFleetCopyOut(Result, Output.Data, Output.Size);
  LeaFleetFree(Output.Data);
end;

#if LeaFleetEncryption == "DPAPI"
// Stores the token encrypted, and removes one that an earlier setup stored in plain text.
procedure LeaFleetStoreToken(const Token: String);
var
  Bytes: AnsiString;
begin
  Bytes := LeaFleetSealed(Utf8Encode(Token), True);
  if Bytes = '' then
    RaiseException('Windows cannot encrypt the token: ' + SysErrorMessage(DLLGetLastError));
  LeaFleetStoreBytes(LeaFleetSealedName, Bytes);
  LeaFleetForget(LeaFleetTokenName);
end;

function LeaFleetTokenIsStoredSo: Boolean;
begin
  Result := FileExists(LeaFleetPath(LeaFleetSealedName))
    and not FileExists(LeaFleetPath(LeaFleetTokenName));
end;
#else
// Stores the token in plain text, and removes one that an earlier setup stored encrypted.
procedure LeaFleetStoreToken(const Token: String);
begin
  LeaFleetStore(LeaFleetTokenName, Token);
  LeaFleetForget(LeaFleetSealedName);
end;

function LeaFleetTokenIsStoredSo: Boolean;
begin
  Result := FileExists(LeaFleetPath(LeaFleetTokenName))
    and not FileExists(LeaFleetPath(LeaFleetSealedName));
end;
#endif

// Returns the stored token, whichever way it was stored.
function LeaFleetKeptToken: String;
var
  Bytes: AnsiString;
begin
  Result := '';
  Bytes := LeaFleetBytes(LeaFleetPath(LeaFleetSealedName));
  if Bytes <> '' then
    Result := LeaFleetLine(LeaFleetSealed(Bytes, False));
  if Result = '' then
    Result := LeaFleetKept(LeaFleetTokenName);
end;

procedure LeaFleetForgetToken;
begin
  LeaFleetForget(LeaFleetTokenName);
  LeaFleetForget(LeaFleetSealedName);
end;

// Returns the stored token if it belongs to this computer, and stores it as this setup
// does. A copied disk contains the token of another computer.
function LeaFleetStoredToken(const Machine: String): String;
begin
  Result := '';
  if LeaFleetKept(LeaFleetMachineName) <> Machine then
    Exit;
  Result := LeaFleetKeptToken;
  if (Result <> '') and not LeaFleetTokenIsStoredSo then
    LeaFleetStoreToken(Result);
end;

// Moves the identity from a folder of an earlier setup to the folder of this one.
procedure LeaFleetAdoptFrom(const Folder: String);
var
  Names: TArrayOfString;
  Bytes: AnsiString;
  I: Integer;
begin
  if not FileExists(Folder + '\' + LeaFleetMachineName) or LeaFleetIsLink(Folder) then
    Exit;
  Log('lea_fleet: the identity of this computer is in ' + Folder);
  Names := [LeaFleetKeyName, LeaFleetTokenName, LeaFleetSealedName, LeaFleetMachineName];
  for I := 0 to GetArrayLength(Names) - 1 do begin
    Bytes := LeaFleetBytes(Folder + '\' + Names[I]);
    if Bytes <> '' then
      LeaFleetStoreBytes(Names[I], Bytes);
  end;
  for I := 0 to GetArrayLength(Names) - 1 do
    DeleteFile(Folder + '\' + Names[I]);
  DeleteFile(Folder + '\' + LeaFleetUrlName);
  DeleteFile(Folder + '\' + LeaFleetIntervalName);
  RemoveDir(Folder);
end;

// Looks for an identity in the program folder Earlier, of an earlier setup. Calls are not
// nested: they would lose characters that ANSI lacks.
procedure LeaFleetAdoptFromProgram(const Earlier: String);
var
  App, Folder, Former, Start: String;
begin
  App := ExpandConstant('{app}');
  App := RemoveBackslashUnlessRoot(App);
  Folder := {#LeaFleetText(LeaFleetFolder)};
  Start := Copy(Folder, 1, Length(App) + 1);
  Former := RemoveBackslashUnlessRoot(Earlier);
  if (Former = '') or (CompareText(Former, App) = 0)
    or (CompareText(Start, App + '\') <> 0)
    or FileExists(LeaFleetPath(LeaFleetMachineName)) then
    Exit;
  Delete(Folder, 1, Length(App));
  LeaFleetAdoptFrom(Former + Folder);
end;

// Returns where the registry says that a program of this AppId is installed.
function LeaFleetInstalledAt(const Root: Integer): String;
var
  Id: String;
begin
  Result := '';
  Id := {#LeaFleetText(LeaFleetAppId)};
  StringChangeEx(Id, '\', '_', True);
  RegQueryStringValue(Root, 'Software\Microsoft\Windows\CurrentVersion\Uninstall\'
    + Id + '_is1', 'Inno Setup: App Path', Result);
end;

// Takes over the identity that an earlier setup of the same AppId left in another folder:
// one that was chosen then, or Program Files of the other bitness. Without it, the
// computer would enroll again, and be refused as already enrolled.
procedure LeaFleetAdopt;
begin
  LeaFleetAdoptFromProgram(WizardForm.PrevAppDir);
  LeaFleetAdoptFromProgram(LeaFleetInstalledAt(HKLM32));
  if IsWin64 then
    LeaFleetAdoptFromProgram(LeaFleetInstalledAt(HKLM64));
end;
