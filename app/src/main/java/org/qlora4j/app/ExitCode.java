package org.qlora4j.app;

/** What the command {@code qlora} returns to the shell. After Ctrl-C the JVM itself returns 130. */
public final class ExitCode {
    /** Done. */
    public static final int OK = 0;

    /** A defect of qlora4j; stderr names the file with the stack trace. */
    public static final int DEFECT = 1;

    /** A flag, setting, file or machine that the user can mend; stderr says which. */
    public static final int USER_ERROR = 2;

    private ExitCode() {}
}
