// The stored state of an enrolled computer: files of one line each, in a folder that only
// administrators, the system and the agent's account can access.
// Included by LeaFleet.iss.

[Code]
const
  LeaFleetTokenName = 'agent-token.txt';
  LeaFleetMachineName = 'machine-id.txt';
  LeaFleetUrlName = 'server-url.txt';
  LeaFleetIntervalName = 'heartbeat-interval.txt';
  LeaFleetKeyName = 'enroll-key.txt';

  LeaFleetProtectedDacl = $80000004;  // DACL_ and PROTECTED_DACL_SECURITY_INFORMATION
  LeaFleetReplace = 9;                // MOVEFILE_REPLACE_EXISTING, MOVEFILE_WRITE_THROUGH
  LeaFleetSidSize = 68;               // SECURITY_MAX_SID_SIZE

type
  TLeaFleetGuid = record
    D1: Cardinal;
    D2, D3: Word;
    D4: array[0..7] of Byte;
  end;

function LeaFleetCreateGuid(var Guid: TLeaFleetGuid): Integer;
external 'CoCreateGuid@ole32.dll stdcall';

function LeaFleetMoveFile(Existing, NewName: String; Flags: Cardinal): Boolean;
external 'MoveFileExW@kernel32.dll stdcall';

function LeaFleetParseDescriptor(Text: String; Revision: Cardinal;
  var Descriptor: Cardinal; var Size: Cardinal): Boolean;
external 'ConvertStringSecurityDescriptorToSecurityDescriptorW@advapi32.dll stdcall';

function LeaFleetSetSecurity(Name: String; What, Descriptor: Cardinal): Boolean;
external 'SetFileSecurityW@advapi32.dll stdcall';

function LeaFleetLookupAccount(Computer: Cardinal; Name: String; Sid: AnsiString;
  var SidSize: Cardinal; Domain: String; var DomainSize: Cardinal;
  var Use: Cardinal): Boolean;
external 'LookupAccountNameW@advapi32.dll stdcall';

function LeaFleetSidToText(Sid: AnsiString; var Text: Cardinal): Boolean;
external 'ConvertSidToStringSidW@advapi32.dll stdcall';

function LeaFleetTextAt(Buffer: String; Source: Cardinal; Size: Integer): Cardinal;
external 'lstrcpynW@kernel32.dll stdcall';

function LeaFleetFree(Memory: Cardinal): Cardinal;
external 'LocalFree@kernel32.dll stdcall';

function LeaFleetPath(const Name: String): String;
begin
  Result := {#LeaFleetText(LeaFleetFolder)} + '\' + Name;
end;

// Returns the line in a file, or nothing if the file does not exist.
function LeaFleetRead(const Path: String): String;
var
  Bytes: AnsiString;
begin
  Result := '';
  if not LoadStringFromFile(Path, Bytes) then
    Exit;
  Result := Utf8Decode(Bytes);
  if (Result <> '') and (Ord(Result[1]) = $FEFF) then
    Delete(Result, 1, 1);  // a byte order mark, as Notepad may write it
  Result := Trim(Result);
end;

// Returns 122 random bits from Windows as hexadecimal digits.
function LeaFleetRandom: String;
var
  Guid: TLeaFleetGuid;
  I: Integer;
begin
  if LeaFleetCreateGuid(Guid) <> 0 then
    RaiseException('Windows cannot generate a random number');
  Result := Format('%.8x%.4x%.4x', [Integer(Guid.D1), Guid.D2, Guid.D3]);
  for I := 0 to 7 do
    Result := Result + Format('%.2x', [Guid.D4[I]]);
  Result := Lowercase(Result);
end;

// Returns the SID of an account as text, or nothing if the account does not exist.
function LeaFleetSidOf(const Account: String): String;
var
  Sid: AnsiString;
  Domain: String;
  SidSize, DomainSize, Use, Text: Cardinal;
begin
  Result := '';
  SidSize := LeaFleetSidSize;
  SetLength(Sid, SidSize);
  DomainSize := 256;
  SetLength(Domain, DomainSize);
  if not LeaFleetLookupAccount(0, Account, Sid, SidSize, Domain, DomainSize, Use)
    or not LeaFleetSidToText(Sid, Text) then
    Exit;
  SetLength(Result, 200);
  LeaFleetTextAt(Result, Text, 200);
  LeaFleetFree(Text);
  Result := Copy(Result, 1, Pos(#0, Result) - 1);
end;

// Returns the SID of LeaFleetAccount, or nothing if it is not set. Raises an exception if
// the account does not exist on this computer.
function LeaFleetAccountSid: String;
var
  Account: String;
begin
  Account := {#LeaFleetText(LeaFleetAccount)};
  Account := Trim(Account);
  Result := Account;
  if (Account = '') or (Pos('S-1-', Account) = 1) then
    Exit;
  Result := LeaFleetSidOf(Account);
  if Result = '' then
    RaiseException('There is no account ' + Account + ' on this computer');
end;

// Returns the access rights of the files in SDDL: full access for the system and
// administrators; read, write and delete for the agent's account, which rotates its own
// token. Files in the folder inherit them.
function LeaFleetRights: String;
var
  Sid: String;
begin
  Result := 'D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)';
  Sid := LeaFleetAccountSid;
  if Sid <> '' then
    Result := Result + '(A;OICI;0x1301bf;;;' + Sid + ')';
end;

// Sets these access rights on a file or folder.
procedure LeaFleetProtect(const Path: String);
var
  Descriptor, Size: Cardinal;
begin
  if not LeaFleetParseDescriptor(LeaFleetRights, 1, Descriptor, Size) then
    RaiseException('Windows rejects the access rights ' + LeaFleetRights);
  try
    if not LeaFleetSetSecurity(Path, LeaFleetProtectedDacl, Descriptor) then
      RaiseException('The access rights of ' + Path + ' cannot be set: '
        + SysErrorMessage(DLLGetLastError));
  finally
    LeaFleetFree(Descriptor);
  end;
end;

procedure LeaFleetMakeFolder;
var
  Folder: String;
begin
  Folder := {#LeaFleetText(LeaFleetFolder)};
  if not ForceDirectories(Folder) then
    RaiseException('The folder ' + Folder + ' cannot be created');
  LeaFleetProtect(Folder);
end;

procedure LeaFleetWrite(const Path: String; const Bytes: AnsiString);
begin
  if not SaveStringToFile(Path, Bytes, False) then
    RaiseException(Path + ' cannot be written');
end;

// Writes a file of one line atomically. Access is restricted before the content is
// written.
procedure LeaFleetStore(const Name, Line: String);
var
  Path: String;
begin
  Path := LeaFleetPath(Name);
  LeaFleetWrite(Path + '.new', '');
  LeaFleetProtect(Path + '.new');
  LeaFleetWrite(Path + '.new', Utf8Encode(Line) + #13#10);
  if not LeaFleetMoveFile(Path + '.new', Path, LeaFleetReplace) then
    RaiseException(Path + ' cannot be written: ' + SysErrorMessage(DLLGetLastError));
end;

procedure LeaFleetForget(const Name: String);
begin
  DeleteFile(LeaFleetPath(Name));
end;

// Returns the machine id: LeaFleetMachineId, or else MachineGuid, or else a random id,
// which is stored.
function LeaFleetMachine: String;
var
  Root: Integer;
begin
  Result := {#LeaFleetText(LeaFleetMachineId)};
  Result := Trim(Result);  // in one call it would lose characters that ANSI lacks
  if Result <> '' then
    Exit;
  Root := HKLM;
  if IsWin64 then
    Root := HKLM64;
  RegQueryStringValue(Root, 'SOFTWARE\Microsoft\Cryptography', 'MachineGuid', Result);
  Result := Trim(Result);
  if Result = '' then
    Result := LeaFleetRead(LeaFleetPath(LeaFleetMachineName));
  if Result = '' then
    Result := LeaFleetRandom;
end;

// Returns the stored token if it belongs to this computer. A copied disk contains the
// token of another computer.
function LeaFleetStoredToken(const Machine: String): String;
begin
  Result := '';
  if LeaFleetRead(LeaFleetPath(LeaFleetMachineName)) = Machine then
    Result := LeaFleetRead(LeaFleetPath(LeaFleetTokenName));
end;
