// The stored state of an enrolled computer: files of one line each, in a folder that only
// administrators, the system and the agent's account can access.
// Included by LeaFleet.iss.

[Code]
const
  LeaFleetMachineName = 'machine-id.txt';
  LeaFleetUrlName = 'server-url.txt';
  LeaFleetIntervalName = 'heartbeat-interval.txt';
  LeaFleetKeyName = 'enroll-key.txt';
  LeaFleetLockName = 'setup.lock';

  LeaFleetProtectedDacl = $80000004;  // DACL_ and PROTECTED_DACL_SECURITY_INFORMATION
  LeaFleetReplace = 9;                // MOVEFILE_REPLACE_EXISTING, MOVEFILE_WRITE_THROUGH
  LeaFleetSidSize = 68;               // SECURITY_MAX_SID_SIZE

  // constants of fileapi.h and winnt.h
  LeaFleetGenericRead = $80000000;
  LeaFleetGenericWrite = $40000000;
  LeaFleetShareAll = 7;
  LeaFleetCreateNew = 1;
  LeaFleetOpenExisting = 3;
  LeaFleetNoFollow = $00200000;       // FILE_FLAG_OPEN_REPARSE_POINT
  LeaFleetOfFolder = $02000000;       // FILE_FLAG_BACKUP_SEMANTICS
  LeaFleetDeleteOnClose = $04000000;
  LeaFleetIsReparsePoint = $400;
  LeaFleetLongestFile = 65536;
  LeaFleetLongestLine = 4096;
  LeaFleetLongestName = 256;
  LeaFleetDnsHostname = 5;            // ComputerNamePhysicalDnsHostname

type
  TLeaFleetGuid = record
    D1: Cardinal;
    D2, D3: Word;
    D4: array[0..7] of Byte;
  end;

  // SECURITY_ATTRIBUTES: on 64-bit, Windows pads each number to the size of a pointer, which
  // Pascal Script does not.
  TLeaFleetSecurity = record
    Size, Descriptor, Inherit: DWORD_PTR;
  end;

var
  LeaFleetLock: THandle;  // an open file in the folder

function LeaFleetCreateFile(Name: String; Access, Share: DWORD;
  var Security: TLeaFleetSecurity; Disposition, Flags: DWORD; Template: THandle): THandle;
external 'CreateFileW@kernel32.dll stdcall';

function LeaFleetReadFile(Handle: THandle; Buffer: AnsiString; Size: DWORD;
  var Count: DWORD; Overlapped: DWORD_PTR): Boolean;
external 'ReadFile@kernel32.dll stdcall';

function LeaFleetWriteFile(Handle: THandle; Buffer: AnsiString; Size: DWORD;
  var Count: DWORD; Overlapped: DWORD_PTR): Boolean;
external 'WriteFile@kernel32.dll stdcall';

function LeaFleetClose(Handle: THandle): Boolean;
external 'CloseHandle@kernel32.dll stdcall';

function LeaFleetAttributes(Name: String): DWORD;
external 'GetFileAttributesW@kernel32.dll stdcall';

function LeaFleetFinalPath(Handle: THandle; Path: String; Size, Flags: DWORD): DWORD;
external 'GetFinalPathNameByHandleW@kernel32.dll stdcall';

function LeaFleetGetName(Kind: Integer; Buffer: String; var Size: DWORD): Boolean;
external 'GetComputerNameExW@kernel32.dll stdcall';

function LeaFleetCreateGuid(var Guid: TLeaFleetGuid): Integer;
external 'CoCreateGuid@ole32.dll stdcall';

function LeaFleetMoveFile(Existing, NewName: String; Flags: DWORD): Boolean;
external 'MoveFileExW@kernel32.dll stdcall';

function LeaFleetParseDescriptor(Text: String; Revision: DWORD;
  var Descriptor: DWORD_PTR; var Size: DWORD): Boolean;
external 'ConvertStringSecurityDescriptorToSecurityDescriptorW@advapi32.dll stdcall';

function LeaFleetSetSecurity(Name: String; What: DWORD; Descriptor: DWORD_PTR): Boolean;
external 'SetFileSecurityW@advapi32.dll stdcall';

function LeaFleetLookupAccount(Computer: DWORD_PTR; Name: String; Sid: AnsiString;
  var SidSize: DWORD; Domain: String; var DomainSize: DWORD; var Use: DWORD): Boolean;
external 'LookupAccountNameW@advapi32.dll stdcall';

function LeaFleetSidToText(Sid: AnsiString; var Text: DWORD_PTR): Boolean;
external 'ConvertSidToStringSidW@advapi32.dll stdcall';

function LeaFleetTextAt(Buffer: String; Source: DWORD_PTR; Size: Integer): DWORD_PTR;
external 'lstrcpynW@kernel32.dll stdcall';

function LeaFleetFree(Memory: DWORD_PTR): DWORD_PTR;
external 'LocalFree@kernel32.dll stdcall';

function LeaFleetPath(const Name: String): String;
begin
  Result := {#LeaFleetText(LeaFleetFolder)} + '\' + Name;
end;

// Returns text in UTF-16 after its byte order mark; of two bytes, High is the higher one.
function LeaFleetWide(const Bytes: AnsiString; const High: Integer): String;
var
  I: Integer;
begin
  Result := '';
  I := 3;  // after the byte order mark
  while I < Length(Bytes) do begin
    Result := Result
      + LeaFleetLetter(Ord(Bytes[I + High]) * 256 + Ord(Bytes[I + 1 - High]));
    I := I + 2;
  end;
end;

// Returns text that is UTF-8, with or without a byte order mark, as Notepad writes it, or
// UTF-16 with one, as PowerShell's > does.
function LeaFleetDecoded(const Bytes: AnsiString): String;
begin
  if Copy(Bytes, 1, 2) = #$FF#$FE then
    Result := LeaFleetWide(Copy(Bytes, 1, LeaFleetLongestLine), 1)
  else if Copy(Bytes, 1, 2) = #$FE#$FF then
    Result := LeaFleetWide(Copy(Bytes, 1, LeaFleetLongestLine), 0)
  else begin
    Result := Utf8Decode(Bytes);
    if (Result <> '') and (Ord(Result[1]) = $FEFF) then
      Delete(Result, 1, 1);
  end;
end;

// Returns the first line that is not blank.
function LeaFleetLine(const Bytes: AnsiString): String;
var
  Rest: String;
  Stop: Integer;
begin
  Rest := LeaFleetDecoded(Bytes);
  repeat
    Stop := Pos(#10, Rest + #10);
    Result := Copy(Rest, 1, Stop - 1);
    Result := Trim(Result);  // in one call it would lose characters that ANSI lacks
    Rest := Copy(Rest, Stop + 1, Length(Rest));
  until (Result <> '') or (Rest = '');
end;

// Returns the line in a file, or nothing if the file does not exist.
function LeaFleetRead(const Path: String): String;
var
  Bytes: AnsiString;
begin
  Result := '';
  if LoadStringFromFile(Path, Bytes) then
    Result := LeaFleetLine(Bytes);
end;

// Returns what CreateFile does where there is no handle: INVALID_HANDLE_VALUE, all bits of
// a pointer.
function LeaFleetNone: THandle;
begin
  Result := 0;
  Result := Result - 1;
end;

// Opens a file, never what a link leads to: in the folder, the agent's account may put a
// link in the place of any file, at any moment. Returns LeaFleetNone if it cannot.
function LeaFleetOpen(const Path: String; const Access, Share, Disposition, Flags: Cardinal;
  const Descriptor: DWORD_PTR): THandle;
var
  Security: TLeaFleetSecurity;
begin
  Security.Size := SizeOf(Security);
  Security.Descriptor := Descriptor;
  Security.Inherit := 0;
  Result := LeaFleetCreateFile(Path, Access, Share, Security, Disposition,
    Flags or LeaFleetNoFollow, 0);
end;

// Returns the bytes of a file, or none if there is no such file.
function LeaFleetBytes(const Path: String): AnsiString;
var
  Handle: THandle;
  Count: DWORD;
begin
  Result := '';
  Handle := LeaFleetOpen(Path, LeaFleetGenericRead, LeaFleetShareAll,
    LeaFleetOpenExisting, 0, 0);
  if Handle = LeaFleetNone then
    Exit;
  SetLength(Result, LeaFleetLongestFile);
  if not LeaFleetReadFile(Handle, Result, LeaFleetLongestFile, Count, 0) then
    Count := 0;
  SetLength(Result, Count);
  LeaFleetClose(Handle);
end;

// Returns the line in a file of the folder, or nothing if there is none.
function LeaFleetKept(const Name: String): String;
begin
  Result := LeaFleetLine(LeaFleetBytes(LeaFleetPath(Name)));
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
  SidSize, DomainSize, Use: DWORD;
  Text: DWORD_PTR;
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

// Returns these access rights in memory that is to be freed.
function LeaFleetDescriptor: DWORD_PTR;
var
  Size: DWORD;
begin
  if not LeaFleetParseDescriptor(LeaFleetRights, 1, Result, Size) then
    RaiseException('Windows rejects the access rights ' + LeaFleetRights);
end;

// Sets these access rights on a file or folder.
procedure LeaFleetProtect(const Path: String);
var
  Descriptor: DWORD_PTR;
begin
  Descriptor := LeaFleetDescriptor;
  try
    if not LeaFleetSetSecurity(Path, LeaFleetProtectedDacl, Descriptor) then
      RaiseException('The access rights of ' + Path + ' cannot be set: '
        + SysErrorMessage(DLLGetLastError));
  finally
    LeaFleetFree(Descriptor);
  end;
end;

// Returns where an open file or folder is.
function LeaFleetPlaceOf(const Handle: THandle): String;
begin
  SetLength(Result, 32768);
  SetLength(Result, LeaFleetFinalPath(Handle, Result, 32768, 0));
end;

function LeaFleetIsLink(const Path: String): Boolean;
begin
  Result := LeaFleetAttributes(Path) and LeaFleetIsReparsePoint <> 0;
end;

// Returns whether the folder itself contains the open file, not one that it leads to.
function LeaFleetContains(const Folder: String; const Lock: THandle): Boolean;
var
  Handle: THandle;
begin
  Result := False;
  if LeaFleetIsLink(Folder) then
    Exit;
  Handle := LeaFleetOpen(Folder, 0, LeaFleetShareAll, LeaFleetOpenExisting,
    LeaFleetOfFolder, 0);
  if Handle = LeaFleetNone then
    Exit;
  Result := CompareText(LeaFleetPlaceOf(Handle) + '\' + LeaFleetLockName,
    LeaFleetPlaceOf(Lock)) = 0;
  LeaFleetClose(Handle);
end;

// Makes the folder, and holds a file in it open until LeaFleetRelease: Windows turns only
// an empty folder into a link to another, which the agent's account could do otherwise.
procedure LeaFleetMakeFolder;
var
  Folder: String;
begin
  Folder := {#LeaFleetText(LeaFleetFolder)};
  if not ForceDirectories(Folder) then
    RaiseException('The folder ' + Folder + ' cannot be created');
  DeleteFile(LeaFleetPath(LeaFleetLockName));
  LeaFleetLock := LeaFleetOpen(LeaFleetPath(LeaFleetLockName), LeaFleetGenericWrite, 0,
    LeaFleetCreateNew, LeaFleetDeleteOnClose, 0);
  if LeaFleetLock = LeaFleetNone then
    RaiseException('The folder ' + Folder + ' cannot be written: '
      + SysErrorMessage(DLLGetLastError));
  if not LeaFleetContains(Folder, LeaFleetLock) then
    RaiseException('The folder ' + Folder + ' is a link to another one');
  LeaFleetProtect(Folder);
end;

procedure LeaFleetRelease;
begin
  if LeaFleetLock <> LeaFleetNone then
    LeaFleetClose(LeaFleetLock);
  LeaFleetLock := LeaFleetNone;
end;

// Writes a new file, with its access rights from the first moment on.
procedure LeaFleetWrite(const Path: String; const Bytes: AnsiString);
var
  Handle: THandle;
  Descriptor: DWORD_PTR;
  Count: DWORD;
  Written: Boolean;
begin
  Descriptor := LeaFleetDescriptor;
  Handle := LeaFleetOpen(Path, LeaFleetGenericWrite, 0, LeaFleetCreateNew, 0, Descriptor);
  LeaFleetFree(Descriptor);
  if Handle = LeaFleetNone then
    RaiseException(Path + ' cannot be written');
  Written := LeaFleetWriteFile(Handle, Bytes, Length(Bytes), Count, 0);
  LeaFleetClose(Handle);
  if not Written then
    RaiseException(Path + ' cannot be written');
end;

// Writes a file atomically. Nothing can be put in the place of a new file whose name is
// random; a link in the place of the old one is replaced.
procedure LeaFleetStoreBytes(const Name: String; const Bytes: AnsiString);
var
  Path, Written, Why: String;
begin
  Path := LeaFleetPath(Name);
  Written := Path + '.' + LeaFleetRandom + '.new';
  LeaFleetWrite(Written, Bytes);
  if not LeaFleetMoveFile(Written, Path, LeaFleetReplace) then begin
    Why := SysErrorMessage(DLLGetLastError);
    DeleteFile(Written);
    RaiseException(Path + ' cannot be written: ' + Why);
  end;
end;

// Writes a file of one line.
procedure LeaFleetStore(const Name, Line: String);
begin
  LeaFleetStoreBytes(Name, Utf8Encode(Line) + #13#10);
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
    Result := LeaFleetKept(LeaFleetMachineName);
  if Result = '' then
    Result := LeaFleetRandom;
end;

// Returns the name of the computer in full: GetComputerNameString ends after 15 letters.
function LeaFleetComputerName(Param: String): String;
var
  Size: DWORD;
begin
  Size := LeaFleetLongestName;
  SetLength(Result, Size);
  if LeaFleetGetName(LeaFleetDnsHostname, Result, Size) and (Size > 0) then
    SetLength(Result, Size)
  else
    Result := GetComputerNameString;
end;

// Returns the architecture of Windows itself, which may run setup by emulation.
function LeaFleetArchitecture: String;
begin
  case ProcessorArchitecture of
    paX86: Result := 'x86';
    paX64: Result := 'x64';
    paArm64: Result := 'arm64';
  else
    Result := '';
  end;
end;
