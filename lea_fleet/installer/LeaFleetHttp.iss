// Requests to the server: one that may fail, and one that is tried again.
// Included by LeaFleet.iss.
//
// By Windows' own WinHTTP, since its COM object keeps no time limit under every
// Windows that setup runs on, and tells no error by its number.

[Code]
type
  TLeaFleetPlace = record
    Flags: Cardinal;      // WinHTTP's: whether it is HTTPS
    Host, Path: String;
    Port: Integer;
  end;

  TLeaFleetAnswer = record
    Status: Integer;      // the HTTP status; 0 where there was no whole answer
    Text: String;
    RetryAfter: Integer;  // seconds; 0 where the answer does not say
    Fault: Integer;       // Windows' error number where there was no answer
  end;

const
  LeaFleetLongestPause = 30;   // seconds
  LeaFleetLongestTry = 20;     // seconds
  LeaFleetLongestStep = 5;     // seconds to find the server, and to connect to it
  LeaFleetMostBytes = 16384;   // of an answer; the server's have a few hundred

  LeaFleetHttpPort = 80;
  LeaFleetHttpsPort = 443;

  // WinHTTP's constants, by their names in winhttp.h
  LeaFleetAccessDefaultProxy = 0;
  LeaFleetAccessAutomaticProxy = 4;         // from Windows 8.1 on
  LeaFleetWindows81 = $06030000;            // as GetWindowsVersion tells it
  LeaFleetFlagSecure = $00800000;
  LeaFleetOptionReceiveResponseTimeout = 7;
  LeaFleetOptionDisableFeature = 63;
  LeaFleetDisableRedirects = 2;
  LeaFleetQueryStatusCode = 19;
  LeaFleetQueryRetryAfter = 36;
  LeaFleetQueryAsNumber = $20000000;
  LeaFleetErrorTimeout = 12002;

// Milliseconds since Windows started; begins anew after 49.7 days.
function LeaFleetTicks: Cardinal;
external 'GetTickCount@kernel32.dll stdcall';

function LeaFleetHttpOpen(Agent: String; Access, Proxy, Bypass, Flags: Cardinal): Cardinal;
external 'WinHttpOpen@winhttp.dll stdcall';

function LeaFleetHttpTimeouts(Handle: Cardinal;
  Resolve, Connect, Send, Receive: Integer): Boolean;
external 'WinHttpSetTimeouts@winhttp.dll stdcall';

function LeaFleetHttpOption(Handle, Option: Cardinal; var Value: Cardinal;
  Size: Cardinal): Boolean;
external 'WinHttpSetOption@winhttp.dll stdcall';

function LeaFleetHttpConnect(Session: Cardinal; Host: String; Port: Word;
  Reserved: Cardinal): Cardinal;
external 'WinHttpConnect@winhttp.dll stdcall';

function LeaFleetHttpRequest(Connection: Cardinal; Verb, Path: String;
  Version, Referrer, Accept, Flags: Cardinal): Cardinal;
external 'WinHttpOpenRequest@winhttp.dll stdcall';

function LeaFleetHttpSend(Request: Cardinal; Fields: String; FieldsLength: Integer;
  Body: AnsiString; BodyLength, TotalLength, Context: Cardinal): Boolean;
external 'WinHttpSendRequest@winhttp.dll stdcall';

function LeaFleetHttpReceive(Request, Reserved: Cardinal): Boolean;
external 'WinHttpReceiveResponse@winhttp.dll stdcall';

function LeaFleetHttpQuery(Request, Info, Name: Cardinal; var Value, Size: Cardinal;
  Index: Cardinal): Boolean;
external 'WinHttpQueryHeaders@winhttp.dll stdcall';

function LeaFleetHttpAvailable(Request: Cardinal; var Size: Cardinal): Boolean;
external 'WinHttpQueryDataAvailable@winhttp.dll stdcall';

function LeaFleetHttpRead(Request: Cardinal; Buffer: AnsiString; Size: Cardinal;
  var Read: Cardinal): Boolean;
external 'WinHttpReadData@winhttp.dll stdcall';

function LeaFleetHttpClose(Handle: Cardinal): Boolean;
external 'WinHttpCloseHandle@winhttp.dll stdcall';

function LeaFleetBounded(const Seconds, Least, Most: Integer): Integer;
begin
  Result := Seconds;
  if Result < Least then
    Result := Least;
  if Result > Most then
    Result := Most;
end;

// Takes the address of a server apart: http or https, a host, a port if need be, and a
// path. Returns False for what is no address.
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

// Returns a session that finds its proxy as the user's browser does, and waits for
// no step longer than so many Seconds.
function LeaFleetSession(const Seconds: Integer): Cardinal;
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

// Returns a request that follows no redirect: a redirected POST comes back as a GET,
// with the token still on it.
function LeaFleetOpenRequest(const Connection: Cardinal; const Path: String;
  const Flags: Cardinal; const Seconds: Integer): Cardinal;
var
  Value: Cardinal;
begin
  Result := LeaFleetHttpRequest(Connection, 'POST', Path, 0, 0, 0, Flags);
  Value := LeaFleetDisableRedirects;
  LeaFleetHttpOption(Result, LeaFleetOptionDisableFeature, Value, 4);
  Value := Seconds * 1000;
  LeaFleetHttpOption(Result, LeaFleetOptionReceiveResponseTimeout, Value, 4);
end;

// Returns a number that the head of an answer says, or 0: also for a Retry-After that
// is a date, since the pauses that grow by themselves are as good.
function LeaFleetHeadNumber(const Request, Info: Cardinal): Integer;
var
  Value, Size: Cardinal;
begin
  Result := 0;
  Size := 4;
  if LeaFleetHttpQuery(Request, Info or LeaFleetQueryAsNumber, 0, Value, Size, 0) then
    Result := Value;
end;

// Reads the body of an answer that was asked for at Start, in ticks, for so many
// Seconds at most. Returns 0, or what went wrong. A read that asked for more than is
// there would wait for it, however slowly it comes.
function LeaFleetReadText(const Request, Start: Cardinal; const Seconds: Integer;
  var Text: String): Integer;
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
      Text := Text + Copy(Buffer, 1, Size);  // ASCII, where it is the server's
  until (Result <> 0) or (Size = 0) or (Length(Text) > LeaFleetMostBytes);
end;

function LeaFleetReceive(const Request, Start: Cardinal; const Fields: String;
  const Body: AnsiString; const Seconds: Integer): TLeaFleetAnswer;
begin
  Result.Status := 0;
  Result.RetryAfter := 0;
  Result.Text := '';
  Result.Fault := 0;
  if not LeaFleetHttpSend(Request, Fields, -1, Body, Length(Body), Length(Body), 0) then begin
    Result.Fault := DLLGetLastError;
    Exit;
  end;
  if not LeaFleetHttpReceive(Request, 0) then begin
    Result.Fault := DLLGetLastError;
    Exit;
  end;
  Result.Fault := LeaFleetReadText(Request, Start, Seconds, Result.Text);
  if Result.Fault <> 0 then begin
    Result.Text := '';  // half an answer is none
    Exit;
  end;
  Result.Status := LeaFleetHeadNumber(Request, LeaFleetQueryStatusCode);
  Result.RetryAfter := LeaFleetHeadNumber(Request, LeaFleetQueryRetryAfter);
end;

// Sends one request and waits for its answer for about so many Seconds.
function LeaFleetTry(const Route, Fields, Body: String;
  const Seconds: Integer): TLeaFleetAnswer;
var
  Place: TLeaFleetPlace;
  Start, Session, Connection, Request: Cardinal;
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

// Tells whether the same request may well succeed a moment later.
function LeaFleetMayPass(const Status: Integer): Boolean;
begin
  Result := (Status = 0) or (Status = 429) or (Status >= 500);
end;

// Sends a request until there is an answer that will not change by itself, or until
// Patience seconds are over. Returns the last answer.
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
    if not LeaFleetMayPass(Result.Status) then
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
