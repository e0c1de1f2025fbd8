@echo off
rem Starts qlora4j on the JDK 25 in JAVA_HOME, or on PATH. The jar starts Java again, with its options and QLORA_HEAP, QLORA_CPU, QLORA_JAVA_OPTS.
setlocal
set "QLORA_JAVA=java"
if defined JAVA_HOME set "QLORA_JAVA=%JAVA_HOME%\bin\java"
"%QLORA_JAVA%" "-Dqlora.command=%~n0" -jar "%~dp0..\qlora4j-@version@.jar" %*
