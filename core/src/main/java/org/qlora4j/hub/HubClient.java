package org.qlora4j.hub;

import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.qlora4j.error.FormatException;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonParser;
import tools.jackson.core.JsonToken;
import tools.jackson.databind.json.JsonMapper;

/**
 * Requests to the hub. The token goes to the hub alone: redirects are followed by hand, and another
 * host gets none. An {@link IOException} means that there was no answer, a {@link FormatException}
 * one that says no.
 */
final class HubClient {
    private static final int MAX_REDIRECTS = 5;
    private static final long MAX_JSON = 64 << 20;
    private static final int MAX_FILES = 500_000;
    private static final Set<Integer> REDIRECTS = Set.of(301, 302, 303, 307, 308);

    private final HubSettings settings;
    private final HttpClient http;

    HubClient(HubSettings settings) {
        this.settings = settings;
        this.http =
                HttpClient.newBuilder()
                        .followRedirects(HttpClient.Redirect.NEVER)
                        .connectTimeout(settings.metadataTimeout())
                        .build();
    }

    /** A commit and the files it has. */
    record Description(String commit, List<String> files) {}

    /** The newest commit of a repository's revision. */
    Description describe(HubRepo repo) throws IOException {
        URI uri = settings.endpoint().resolve(repo.apiPath());
        HttpResponse<InputStream> response =
                follow(repo, "GET", uri, settings.metadataTimeout(), 0, true);
        try (InputStream body =
                        new WatchedBody(
                                response.body(), MAX_JSON, settings.metadataTimeout(), true);
                JsonParser json = JsonMapper.shared().createParser(body)) {
            String commit = "";
            List<String> files = new ArrayList<>();
            if (json.nextToken() != JsonToken.START_OBJECT) {
                throw FormatException.of("%s: the answer is not a JSON object", uri);
            }
            while (json.nextToken() == JsonToken.PROPERTY_NAME) {
                String name = json.currentName();
                JsonToken value = json.nextToken();
                if (name.equals("sha") && value == JsonToken.VALUE_STRING) {
                    commit = json.getString();
                } else if (name.equals("siblings") && value == JsonToken.START_ARRAY) {
                    readFiles(json, uri, files);
                } else {
                    json.skipChildren();
                }
            }
            if (!commit.matches("[0-9a-f]{40}")) {
                throw FormatException.of("%s: the hub names no commit of %s", uri, repo);
            }
            return new Description(commit, files);
        } catch (JacksonException e) {
            for (Throwable cause = e; cause != null; cause = cause.getCause()) {
                if (cause instanceof WatchedBody.TooLong) {
                    throw FormatException.of(
                            "%s: the answer is longer than %d MiB", uri, MAX_JSON >> 20);
                }
                if (cause instanceof IOException io) {
                    throw io;
                }
            }
            throw new FormatException(uri + ": the answer is not JSON", e);
        }
    }

    /** Reads the names in {@code siblings}, as they come: a repository may have many. */
    private static void readFiles(JsonParser json, URI uri, List<String> files) {
        while (json.nextToken() != JsonToken.END_ARRAY) {
            String file = "";
            if (json.currentToken() == JsonToken.START_OBJECT) {
                while (json.nextToken() == JsonToken.PROPERTY_NAME) {
                    boolean name = json.currentName().equals("rfilename");
                    if (json.nextToken() == JsonToken.VALUE_STRING && name) {
                        file = json.getString();
                    } else {
                        json.skipChildren();
                    }
                }
            } else {
                json.skipChildren();
            }
            if (json.currentToken() == null) {
                throw FormatException.of("%s: the answer is not JSON", uri);
            }
            files.add(file);
            if (files.size() > MAX_FILES) {
                throw FormatException.of("%s: the hub lists more than %d files", uri, MAX_FILES);
            }
        }
    }

    /**
     * What the hub says of a file.
     *
     * @param etag SHA-256 of large files, git's SHA-1 of others
     * @param size bytes
     */
    record FileInfo(String etag, long size) {}

    FileInfo inspect(HubRepo repo, String commit, String file) throws IOException {
        URI uri = settings.endpoint().resolve(repo.filePath(commit, file));
        HttpResponse<InputStream> response =
                follow(repo, "HEAD", uri, settings.metadataTimeout(), 0, false);
        response.body().close();
        var headers = response.headers();
        String etag =
                headers.firstValue("X-Linked-Etag")
                        .or(() -> headers.firstValue("ETag"))
                        .orElse("")
                        .replaceFirst("^W/", "")
                        .replace("\"", "");
        if (!etag.matches("[0-9A-Za-z_-]{8,128}")) {
            throw FormatException.of("%s: the hub gives no ETag to name the file by", uri);
        }
        String said =
                headers.firstValue("X-Linked-Size")
                        .or(() -> headers.firstValue("Content-Length"))
                        .orElse("-1");
        if (!said.matches("-1|[0-9]{1,18}")) {
            throw FormatException.of(
                    "%s: the hub gives the size %s, which is no number of bytes", uri, safe(said));
        }
        return new FileInfo(etag, Long.parseLong(said));
    }

    /**
     * Bytes of a file.
     *
     * @param body the caller closes it
     * @param isPart whether they begin where asked, not at the beginning
     */
    record Download(InputStream body, boolean isPart) {}

    Download download(HubRepo repo, String commit, String file, long from, long most)
            throws IOException {
        URI uri = settings.endpoint().resolve(repo.filePath(commit, file));
        HttpResponse<InputStream> response =
                follow(repo, "GET", uri, settings.downloadTimeout(), from, true);
        boolean isPart = response.statusCode() == 206;
        InputStream body =
                new WatchedBody(
                        response.body(),
                        isPart ? most - from : most,
                        settings.downloadTimeout(),
                        false);
        return new Download(body, isPart);
    }

    /**
     * Sends a request and follows where the answer leads.
     *
     * @param elsewhere whether to go to other hosts too; else their address is the answer
     */
    private HttpResponse<InputStream> follow(
            HubRepo repo, String method, URI uri, Duration timeout, long from, boolean elsewhere)
            throws IOException {
        URI at = uri;
        for (int hop = 0; hop <= MAX_REDIRECTS; hop++) {
            HttpResponse<InputStream> response = send(method, at, timeout, from);
            int status = response.statusCode();
            String location = response.headers().firstValue("Location").orElse(null);
            if (REDIRECTS.contains(status) && location != null) {
                URI next = next(at, location);
                if (!elsewhere && !Urls.isSameOrigin(at, next)) {
                    return response;
                }
                response.body().close();
                at = next;
                continue;
            }
            if (status == 200 || status == 206) {
                return response;
            }
            response.body().close();
            throw refused(
                    repo,
                    uri,
                    status,
                    safe(response.headers().firstValue("X-Error-Code").orElse("")));
        }
        throw FormatException.of("%s: redirected more than %d times", uri, MAX_REDIRECTS);
    }

    private static URI next(URI at, String location) {
        try {
            URI next = at.resolve(location);
            if (next.getHost() != null) {
                return next;
            }
        } catch (IllegalArgumentException e) {
            throw new FormatException(
                    "%s: redirected to '%s', which is no address".formatted(at, safe(location)), e);
        }
        throw FormatException.of("%s: redirected to '%s', which has no host", at, safe(location));
    }

    /** Text of a stranger, fit to be shown. */
    private static String safe(String text) {
        String shown = text.replaceAll("\\p{Cntrl}", "?");
        return shown.length() <= 200 ? shown : shown.substring(0, 200) + "...";
    }

    private HttpResponse<InputStream> send(String method, URI uri, Duration timeout, long from)
            throws IOException {
        if (!Set.of("http", "https").contains(String.valueOf(uri.getScheme()))) {
            throw new IOException("redirected to " + uri + ", which is no web address");
        }
        HttpRequest.Builder request =
                HttpRequest.newBuilder(uri)
                        .method(method, HttpRequest.BodyPublishers.noBody())
                        .timeout(timeout)
                        .header("Accept-Encoding", "identity")
                        .header("User-Agent", "qlora4j");
        String token = token(uri);
        if (token != null) {
            request.header("Authorization", "Bearer " + token);
        }
        if (from > 0) {
            request.header("Range", "bytes=" + from + "-");
        }
        try {
            return http.send(request.build(), HttpResponse.BodyHandlers.ofInputStream());
        } catch (IllegalArgumentException e) { // of an address or a header that is malformed
            throw new FormatException(uri + ": " + safe(String.valueOf(e.getMessage())), e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException("interrupted", e);
        }
    }

    private @Nullable String token(URI uri) {
        return Urls.isSameOrigin(uri, settings.endpoint()) ? settings.token() : null;
    }

    private RuntimeException refused(HubRepo repo, URI uri, int status, String code)
            throws IOException {
        if (status >= 500 || status == 429) {
            throw new IOException("status " + status);
        }
        String page = settings.endpoint() + repo.page();
        String token =
                settings.token() == null
                        ? "; set HF_TOKEN if it is private"
                        : ", or the token is not allowed to see it";
        return switch (status) {
            case 401, 403 ->
                    FormatException.of(
                            "%s: the hub refuses access (%d %s): it does not exist, is private, or its terms wait to be accepted at %s%s",
                            repo, status, code, page, token);
            case 404 ->
                    FormatException.of(
                            "%s: the hub has no such %s (%s)",
                            repo,
                            code.equals("RevisionNotFound")
                                    ? "revision"
                                    : code.equals("EntryNotFound") ? "file" : "repository",
                            uri);
            default -> FormatException.of("%s: %s answers with status %d", repo, uri, status);
        };
    }
}
