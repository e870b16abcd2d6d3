// The JSON that an installer needs: writing strings, reading members.
// Included by LeaFleet.iss.

[Code]
// Returns S as an ASCII JSON string, because WinHTTP's treatment of other characters
// depends on the version of Windows. A lone surrogate, which Windows allows in a name
// and the server does not, becomes U+FFFD.
function LeaFleetQuoted(const S: String): String;
var
  I, Code, Next: Integer;
begin
  Result := '"';
  I := 1;
  while I <= Length(S) do begin
    Code := Ord(S[I]);
    if (Code >= $D800) and (Code <= $DFFF) then begin
      Next := 0;
      if I < Length(S) then
        Next := Ord(S[I + 1]);
      if (Code <= $DBFF) and (Next >= $DC00) and (Next <= $DFFF) then begin
        Result := Result + Format('\u%.4x\u%.4x', [Code, Next]);
        I := I + 1;
      end
      else
        Result := Result + '\ufffd';
    end
    else if (Code < 32) or (Code > 126) or (Code = 34) or (Code = 92) then
      Result := Result + Format('\u%.4x', [Code])
    else
      Result := Result + S[I];
    I := I + 1;
  end;
  Result := Result + '"';
end;

function LeaFleetCopyLetter(Buffer: String; var Code: Cardinal; Size: Integer): DWORD_PTR;
external 'lstrcpynW@kernel32.dll stdcall';

// Returns the character of a UTF-16 code unit; Chr only supports the first 256.
function LeaFleetLetter(Code: Cardinal): String;
begin
  Result := StringOfChar('?', 1);
  LeaFleetCopyLetter(Result, Code, 2);
end;

// Reads the escape sequence at At, and moves At past it.
function LeaFleetEscape(const Json: String; var At: Integer): String;
begin
  Result := Copy(Json, At + 1, 1);
  At := At + 2;
  case Result of
    'b': Result := #8;
    't': Result := #9;
    'n': Result := #10;
    'f': Result := #12;
    'r': Result := #13;
    'u': begin
      Result := LeaFleetLetter(StrToIntDef('$' + Copy(Json, At, 4), $FFFD));
      At := At + 4;
    end;
  end;
end;

// Reads the string that starts at At, and moves At past it.
function LeaFleetReadString(const Json: String; var At: Integer): String;
begin
  Result := '';
  At := At + 1;
  while (At <= Length(Json)) and (Json[At] <> '"') do
    if Json[At] = '\' then
      Result := Result + LeaFleetEscape(Json, At)
    else begin
      Result := Result + Json[At];
      At := At + 1;
    end;
  At := At + 1;
end;

procedure LeaFleetSkipSpace(const Json: String; var At: Integer);
begin
  while (At <= Length(Json)) and (Pos(Json[At], #9#10#13#32) > 0) do
    At := At + 1;
end;

// Reads the value that starts at At: a string is decoded, any other value is returned as
// written. Moves At past it.
function LeaFleetReadValue(const Json: String; var At: Integer): String;
var
  Depth, Start: Integer;
begin
  if Copy(Json, At, 1) = '"' then begin
    Result := LeaFleetReadString(Json, At);
    Exit;
  end;
  Start := At;
  Depth := 0;
  while At <= Length(Json) do begin
    if (Depth = 0) and (Pos(Json[At], ',}]'#9#10#13#32) > 0) then
      Break;
    case Json[At] of
      '{', '[': Depth := Depth + 1;
      '}', ']': Depth := Depth - 1;
    end;
    if Json[At] = '"' then
      LeaFleetReadString(Json, At)
    else
      At := At + 1;
  end;
  Result := Copy(Json, Start, At - Start);
end;

// Returns a top-level member of the object in Json: a string is decoded, any other value
// is returned as written; empty if there is no such member.
function LeaFleetMember(const Json, Name: String): String;
var
  At: Integer;
  Found, Value: String;
begin
  Result := '';
  At := 1;
  LeaFleetSkipSpace(Json, At);
  if Copy(Json, At, 1) <> '{' then
    Exit;
  At := At + 1;
  LeaFleetSkipSpace(Json, At);
  while Copy(Json, At, 1) = '"' do begin
    Found := LeaFleetReadString(Json, At);
    LeaFleetSkipSpace(Json, At);
    if Copy(Json, At, 1) <> ':' then
      Exit;
    At := At + 1;
    LeaFleetSkipSpace(Json, At);
    Value := LeaFleetReadValue(Json, At);
    if At > Length(Json) then
      Exit;  // truncated: the value may be incomplete
    if Found = Name then begin
      Result := Value;
      Exit;
    end;
    LeaFleetSkipSpace(Json, At);
    if Copy(Json, At, 1) <> ',' then
      Exit;
    At := At + 1;
    LeaFleetSkipSpace(Json, At);
  end;
end;
