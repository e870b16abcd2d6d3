// Requests to the server, with and without retries.
// Included by LeaFleet.iss.
//
// Uses the WinHTTP functions: the COM object does not keep its time limits on every
// supported version of Windows, and does not report error numbers. Their handles and
// pointers have 8 bytes in a 64-bit setup of Inno Setup 7 (THandle, DWORD_PTR), and 4
// everywhere else.

[Code]
type
  TLeaFleetPlace = record
    Flags: Cardinal;      // of WinHTTP: whether to use HTTPS
    Host, Path: String;
    Port: Integer;
  end;

  TLeaFleetAnswer = record
    Status: Integer;      // the HTTP status; 0 without a complete response
    Text: String;
    RetryAfter: Integer;  // seconds; 0 if not in the response
    Fault: Integer;       // the Windows error number if there was no response
  end;

const
  LeaFleetLongestPause = 30;   // seconds
  LeaFleetLongestTry = 20;     // seconds
  LeaFleetLongestStep = 5;     // seconds to find the server, and to connect to it
  LeaFleetMostBytes = 16384;   // of a response; the server's have a few hundred

  LeaFleetHttpPort = 80;
  LeaFleetHttpsPort = 443;

  // constants of winhttp.h
  LeaFleetAccessDefaultProxy = 0;
  LeaFleetAccessAutomaticProxy = 4;         // from Windows 8.1 on
  LeaFleetWindows81 = $06030000;            // as returned by GetWindowsVersion
  LeaFleetFlagSecure = $00800000;
  LeaFleetOptionReceiveResponseTimeout = 7;
  LeaFleetOptionDisableFeature = 63;
  LeaFleetDisableRedirects = 2;
  LeaFleetQueryStatusCode = 19;
  LeaFleetQueryRetryAfter = 36;
  LeaFleetQueryAsNumber = $20000000;
  LeaFleetErrorTimeout = 12002;
  LeaFleetProxyWantsName = 407;

// Milliseconds since Windows started; wraps around after 49.7 days.
function LeaFleetTicks: Cardinal;
external 'GetTickCount@kernel32.dll stdcall';

function LeaFleetHttpOpen(Agent: String; Access: DWORD; Proxy, Bypass: DWORD_PTR;
  Flags: DWORD): THandle;
external 'WinHttpOpen@winhttp.dll stdcall';

function LeaFleetHttpTimeouts(Handle: THandle;
  Resolve, Connect, Send, Receive: Integer): Boolean;
external 'WinHttpSetTimeouts@winhttp.dll stdcall';

function LeaFleetHttpOption(Handle: THandle; Option: DWORD; var Value: DWORD;
  Size: DWORD): Boolean;
external 'WinHttpSetOption@winhttp.dll stdcall';

function LeaFleetHttpConnect(Session: THandle; Host: String; Port: Word;
  Reserved: DWORD): THandle;
external 'WinHttpConnect@winhttp.dll stdcall';

function LeaFleetHttpRequest(Connection: THandle; Verb, Path: String;
  Version, Referrer, Accept: DWORD_PTR; Flags: DWORD): THandle;
external 'WinHttpOpenRequest@winhttp.dll stdcall';

function LeaFleetHttpSend(Request: THandle; Fields: String; FieldsLength: DWORD;
  Body: AnsiString; BodyLength, TotalLength: DWORD; Context: DWORD_PTR): Boolean;
external 'WinHttpSendRequest@winhttp.dll stdcall';

function LeaFleetHttpReceive(Request: THandle; Reserved: DWORD_PTR): Boolean;
external 'WinHttpReceiveResponse@winhttp.dll stdcall';

function LeaFleetHttpQuery(Request: THandle; Info: DWORD; Name: DWORD_PTR;
  var Value, Size: DWORD; Index: DWORD_PTR): Boolean;
external 'WinHttpQueryHeaders@winhttp.dll stdcall';

function LeaFleetHttpAvailable(Request: THandle; var Size: DWORD): Boolean;
external 'WinHttpQueryDataAvailable@winhttp.dll stdcall';

function LeaFleetHttpRead(Request: THandle; Buffer: AnsiString; Size: DWORD;
  var Read: DWORD): Boolean;
external 'WinHttpReadData@winhttp.dll stdcall';

function LeaFleetHttpClose(Handle: THandle): Boolean;
external 'WinHttpCloseHandle@winhttp.dll stdcall';

function LeaFleetBounded(const Seconds, Least, Most: Integer): Integer;
begin
  Result := Seconds;
  if Result < Least then
    Result := Least;
  if Result > Most then
    Result := Most;
end;

// Splits a URL into scheme (http or https), server name, optional port and path.
// Returns False if it is not valid.
function LeaFleetTakeApart(const Url: String; var Place: TLeaFleetPlace): Boolean;
var
  Rest: String;
  Bracket, Colon: Integer;
begin
  Place.Port := LeaFleetHttpPort;
  Place.Flags := 0;
  if Pos('https://', Lowercase(Url)) = 1 then begin
    Place.Port := LeaFleetHttpsPort;
    Place.Flags := LeaFleetFlagSecure;
  end;
  Rest := Copy(Url, Pos('//', Url) + 2, Length(Url));
  Place.Host := Copy(Rest, 1, Pos('/', Rest + '/') - 1);
  Place.Path := Copy(Rest, Length(Place.Host) + 1, Length(Rest));
  Bracket := Pos(']', Place.Host);  // an IPv6 address has colons of its own
  Colon := Bracket + Pos(':', Copy(Place.Host, Bracket + 1, Length(Place.Host)));
  if Colon > Bracket then begin
    Place.Port := StrToIntDef(Copy(Place.Host, Colon + 1, Length(Place.Host)), 0);
    Place.Host := Copy(Place.Host, 1, Colon - 1);
  end;
  Result := ((Place.Flags <> 0) or (Pos('http://', Lowercase(Url)) = 1))
    and (Place.Host <> '') and (Place.Port >= 1) and (Place.Port <= 65535);
end;

// Opens a session that uses the same proxy settings as the user's browser, with a time
// limit of Seconds for each step.
function LeaFleetSession(const Seconds: Integer): THandle;
var
  Access: Cardinal;
  Step: Integer;
begin
  Access := LeaFleetAccessDefaultProxy;
  if GetWindowsVersion >= LeaFleetWindows81 then
    Access := LeaFleetAccessAutomaticProxy;
  Result := LeaFleetHttpOpen('lea_fleet setup', Access, 0, 0, 0);
  Step := LeaFleetBounded(Seconds, 1, LeaFleetLongestStep) * 1000;
  LeaFleetHttpTimeouts(Result, Step, Step, Step, Seconds * 1000);
end;

// Opens a request that does not follow redirects: a redirected POST would become a GET
// that still carries the token.
function LeaFleetOpenRequest(const Connection: THandle; const Path: String;
  const Flags: Cardinal; const Seconds: Integer): THandle;
var
  Value: Cardinal;
begin
  Result := LeaFleetHttpRequest(Connection, 'POST', Path, 0, 0, 0, Flags);
  Value := LeaFleetDisableRedirects;
  LeaFleetHttpOption(Result, LeaFleetOptionDisableFeature, Value, 4);
  Value := Seconds * 1000;
  LeaFleetHttpOption(Result, LeaFleetOptionReceiveResponseTimeout, Value, 4);
end;

// Returns a numeric response header, or 0. A Retry-After that is a date is 0 as well,
// because the growing pauses serve as well.
function LeaFleetHeadNumber(const Request: THandle; const Info: Cardinal): Integer;
var
  Value, Size: Cardinal;
begin
  Result := 0;
  Size := 4;
  if LeaFleetHttpQuery(Request, Info or LeaFleetQueryAsNumber, 0, Value, Size, 0) then
    Result := Value;
end;

// Reads the body of a response to a request sent at Start (ticks), with a time limit of
// Seconds. Returns 0 or an error number. Never reads more than is available: WinHTTP
// would wait for the rest, however slowly it arrives.
function LeaFleetReadText(const Request: THandle; const Start: Cardinal;
  const Seconds: Integer; var Text: String): Integer;
var
  Buffer: AnsiString;
  Size: Cardinal;
begin
  Result := 0;
  Text := '';
  repeat
    Buffer := '';
    if LeaFleetHttpAvailable(Request, Size) then
      Buffer := StringOfChar(#0, LeaFleetBounded(Size, 1, 4096));
    if LeaFleetTicks - Start > Cardinal(Seconds) * 1000 then
      Result := LeaFleetErrorTimeout
    else if (Buffer = '') or not LeaFleetHttpRead(Request, Buffer, Length(Buffer), Size) then
      Result := DLLGetLastError
    else
      Text := Text + Copy(Buffer, 1, Size);  // responses of the server are ASCII
  until (Result <> 0) or (Size = 0) or (Length(Text) > LeaFleetMostBytes);
end;

function LeaFleetReceive(const Request: THandle; const Start: Cardinal;
  const Fields: String; const Body: AnsiString; const Seconds: Integer): TLeaFleetAnswer;
begin
  Result.Status := 0;
  Result.RetryAfter := 0;
  Result.Text := '';
  Result.Fault := 0;
  if not LeaFleetHttpSend(Request, Fields, Length(Fields), Body, Length(Body),
    Length(Body), 0) then begin
    Result.Fault := DLLGetLastError;
    Exit;
  end;
  if not LeaFleetHttpReceive(Request, 0) then begin
    Result.Fault := DLLGetLastError;
    Exit;
  end;
  Result.Fault := LeaFleetReadText(Request, Start, Seconds, Result.Text);
  if Result.Fault <> 0 then begin
    Result.Text := '';  // an incomplete response is not used
    Exit;
  end;
  Result.Status := LeaFleetHeadNumber(Request, LeaFleetQueryStatusCode);
  Result.RetryAfter := LeaFleetHeadNumber(Request, LeaFleetQueryRetryAfter);
end;

// Sends one request and waits about Seconds for the response.
function LeaFleetTry(const Route, Fields, Body: String;
  const Seconds: Integer): TLeaFleetAnswer;
var
  Place: TLeaFleetPlace;
  Start: Cardinal;
  Session, Connection, Request: THandle;
begin
  Start := LeaFleetTicks;
  LeaFleetTakeApart(LeaFleetServer, Place);
  Session := LeaFleetSession(Seconds);
  Connection := LeaFleetHttpConnect(Session, Place.Host, Place.Port, 0);
  Request := LeaFleetOpenRequest(Connection, Place.Path + Route, Place.Flags, Seconds);
  try
    Result := LeaFleetReceive(Request, Start, Fields, Body, Seconds);
  finally
    LeaFleetHttpClose(Request);
    LeaFleetHttpClose(Connection);
    LeaFleetHttpClose(Session);
  end;
  Log(Format('lea_fleet: POST %s: status %d, error %d', [Route, Result.Status, Result.Fault]));
end;

// Returns whether an error number says that Windows does not trust the certificate, or has
// no version of TLS in common with the server.
function LeaFleetUntrusted(const Fault: Integer): Boolean;
begin
  case Fault of
    12037, 12038, 12045, 12157, 12169, 12170, 12175, 12179:  // ERROR_WINHTTP_SECURE_...
      Result := True;
  else
    Result := False;
  end;
end;

// Returns whether the same request may succeed later; not with the same certificate.
function LeaFleetMayPass(const Answer: TLeaFleetAnswer): Boolean;
begin
  if Answer.Status = 0 then
    Result := not LeaFleetUntrusted(Answer.Fault)
  else
    Result := (Answer.Status = 429) or (Answer.Status >= 500);
end;

// Sends a request and retries until the response is final or Patience seconds are over.
// Returns the last response.
function LeaFleetPost(const Route, Token, Key, Body: String;
  const Patience: Integer): TLeaFleetAnswer;
var
  Fields: String;
  Start: Cardinal;
  Left, Pause, Next: Integer;
begin
  Fields := 'Authorization: Bearer ' + Token + #13#10'Content-Type: application/json';
  if Key <> '' then
    Fields := Fields + #13#10'Idempotency-Key: ' + Key;
  Start := LeaFleetTicks;
  Next := 1;
  Left := Patience;
  repeat
    Result := LeaFleetTry(Route, Fields, Body, LeaFleetBounded(Left, 1, LeaFleetLongestTry));
    if not LeaFleetMayPass(Result) then
      Exit;
    Pause := Next;
    Next := Next * 2;
    if Result.RetryAfter > 0 then
      Pause := Result.RetryAfter;
    Pause := LeaFleetBounded(Pause, 1, LeaFleetLongestPause);
    Left := Patience - Integer((LeaFleetTicks - Start) div 1000) - Pause;
    if Left <= 0 then
      Exit;
    Log(Format('lea_fleet: trying again in %d s', [Pause]));
    Sleep(Pause * 1000);
  until False;
end;
